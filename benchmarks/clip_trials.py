"""Trials whose pictures are frames of clips: each is shown after those before it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from claims import Showing, Trial
from trials import Look, Workshop

from foveate.data.formats.coco_video import Clip
from foveate.data.images import load_image
from foveate.data.motion import MotionStream
from foveate.evaluation import bootstrap_interval
from foveate.inference.gate import MotionGate
from foveate.inference.layers import LayeredSource
from foveate.inference.onnx_detector import OnnxDetector
from foveate.inference.settings import Options, frame_runner, run_settings
from foveate.structures import Dataset, Detections
from foveate.training.validate import LEAST_SCORE

GATED_FRAMES = 6
"""Frames that a gate has seen when a scored one comes."""


class ClipWorkshop(Workshop, ABC):
    """Trains on clips and shows others.

    Attributes:
        metrics: Figures that are kept with their intervals.
    """

    metrics: tuple[str, ...] = ()

    @abstractmethod
    def scored(self, clip: Clip) -> list[int]:
        """Positions of a held-out clip's frames that are scored."""

    def gate(self, showing: Showing) -> MotionGate | None:
        """What decides which tiles are looked at; all are without."""
        return None

    def held_out(self, trial: Trial) -> Dataset:
        """The scored frames of every held-out clip."""
        scored = {
            clip.samples[position].image_id
            for clip in self.clips(trial)
            for position in self.scored(clip)
        }
        dataset = super().held_out(trial)
        return replace(dataset, samples=tuple(s for s in dataset.samples if s.image_id in scored))

    def looks(self, detector: OnnxDetector, showing: Showing, held_out: Dataset) -> Iterable[Look]:
        """Every scored frame, after those that motion and gate want."""
        clips = self.clips(self.trials[showing.trial])
        list(self._looks(detector, showing, clips[:1]))  # a warm-up
        return self._looks(detector, showing, clips)

    def _looks(
        self, detector: OnnxDetector, showing: Showing, clips: Sequence[Clip]
    ) -> Iterable[Look]:
        settings = run_settings(detector, showing.options | Options(threshold=LEAST_SCORE))
        run, motion = frame_runner(detector, settings), settings.motion
        for clip, position in self._frames(clips):
            stream = None if motion is None else MotionStream(motion)
            gate = self.gate(showing)
            before = max(motion.frames_before if motion else 0, GATED_FRAMES if gate else 0)
            *earlier, last = clip.history(position, before)
            for sample in earlier:
                image = load_image(sample.path)
                channels = None if stream is None else stream.push(image)
                if gate is not None:
                    gate.detect(run, LayeredSource.of(sample.path.name, image, channels))
            image = load_image(last.path)
            wall, cpu = time.perf_counter(), time.process_time()
            channels = None if stream is None else stream.push(image)
            source = LayeredSource.of(last.path.name, image, channels)
            result = run(source) if gate is None else gate.detect(run, source)
            yield Look(last, result, time.perf_counter() - wall, time.process_time() - cpu)

    def _frames(self, clips: Sequence[Clip]) -> list[tuple[Clip, int]]:
        return [(clip, position) for clip in clips for position in self.scored(clip)]

    def row(self, held_out: Dataset, found: Mapping[int, Detections]) -> dict[str, Any]:
        """The usual scores, and this benchmark's metrics, each with its interval."""
        told = bootstrap_interval(
            held_out, found, self.metrics, self.bins, groups=self.groups(held_out)
        )
        own = {metric: one.to_dict() for metric, one in told.items()}
        return super().row(held_out, found) | {
            metric: [one["value"], one["low"], one["high"]] for metric, one in own.items()
        }
