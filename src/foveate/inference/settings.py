"""How one run is done: what the user asked for, over what the model says of itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypedDict, get_args

from pydantic import ValidationError

from foveate.config import describe
from foveate.data.motion import MotionConfig
from foveate.data.values import Reading, ValueRange
from foveate.errors import UsageError
from foveate.inference.folder import Runner
from foveate.inference.glance import OnnxGlance
from foveate.inference.layers import StillSource
from foveate.inference.model_info import ModelInfo
from foveate.inference.pipeline import ImageResult, OnTiles, detect_image
from foveate.inference.profile import Profile
from foveate.inference.refine import OnnxRefiner, RefiningRunner
from foveate.inference.selecting import Select, Selection, SkippingRunner
from foveate.inference.tuning import choice_of, runs_on
from foveate.merge.config import MergeConfig, MergeMethod
from foveate.structures import Detector, ImageSource
from foveate.tiling import Pyramid, TilePlan

_DEFAULT_THRESHOLD = 0.3
"""For detectors that name none."""
NO_MOTION = (
    "the model sees motion, and a single picture has none: what it finds by motion is missing; "
    "give it the video"
)


class Options(TypedDict, total=False):
    """What a run may ask for; what is left out, or None, is as the model says.

    Attributes:
        tile: Side of a tile, network pixels.
        overlap: Of neighbouring tiles: a ratio below 1, otherwise network pixels.
        scale: Enlargement before tiling: 2 shows a 6-pixel object to the network as 12.
        scales: Several of them, in place of one: the picture is tiled at each. A model may name
            some of its own, which `scale` or `plain` switches off.
        scale_sides: Least and most length, network pixels, of the longer side of boxes taken from
            each scale, as `Pyramid` says; or text, such as ``24:96``. All are if left out.
        full_image: Also show the whole picture squeezed into one tile.
        plain: Show only the whole picture squeezed into one tile.
        merge: Name of a merge, or its whole configuration.
        threshold: Least score of a detection, in ``[0, 1]``.
        batch_size: Tiles a call of the detector; None takes as many as keep it busy.
        bands: Numbers of the bands to show, from 1, in the model's order.
        value_range: Values shown as black and as white; or text, such as ``2%:98%``.
        stabilise: How earlier frames are aligned for a model that sees motion: a row of
            `ALIGNMENTS`, or ``none``.
        refine: Judge small boxes once more: a file made by ``foveate train mtgan``, or what
            `foveate.load_refiner` gives, which need not be read again for every picture.
        select: Look only at tiles that a glance chooses: ``recall=0.95``, ``tiles=40`` or
            ``budget=2s``, or a `Select`.
        glance: What chooses them: a file made by ``foveate glance fit``, or what
            `foveate.load_glance` gives.
    """

    tile: int | None
    overlap: float | None
    scale: float | None
    scales: Sequence[float] | None
    scale_sides: tuple[float, float] | str | None
    full_image: bool | None
    plain: bool | None
    merge: str | MergeConfig | None
    threshold: float | None
    batch_size: int | None
    bands: Sequence[int] | None
    value_range: tuple[float, float] | str | None
    stabilise: str | None
    refine: str | Path | OnnxRefiner | None
    select: str | Select | None
    glance: str | Path | OnnxGlance | None


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Everything a run needs besides the pictures and the detector.

    Attributes:
        plan: Tile geometry; with a pyramid, that of its finest scale.
        pyramid: Scales to show a picture at; None for the plan's own.
        merge: How tiles' boxes become one set.
        score_threshold: Least score.
        size_multiple: Of the sides of what the detector is shown, network pixels.
        padding: Value around a picture smaller than a tile, 0 to 255.
        batch_size: Tiles a call; None takes as many as keep the detector busy.
        reading: Which bands and values of a picture are shown.
        motion: The motion channels that the model sees beside the picture; None for none.
        refiner: Judges small boxes once more.
        selection: Chooses the tiles to look at; None looks at all.
    """

    plan: TilePlan
    pyramid: Pyramid | None
    merge: MergeConfig
    score_threshold: float
    size_multiple: int
    padding: int
    batch_size: int | None
    reading: Reading
    motion: MotionConfig | None = None
    refiner: OnnxRefiner | None = None
    selection: Selection | None = None

    def to_dict(self) -> dict[str, Any]:
        """What decides the result, as plain data."""
        return {
            "tile_plan": self.plan.model_dump(mode="json"),
            "pyramid": self.pyramid.model_dump(mode="json") if self.pyramid else None,
            "merge": self.merge.model_dump(mode="json"),
            "score_threshold": self.score_threshold,
            "bands": self.reading.bands,
            "value_range": str(self.reading.values) if self.reading.values else None,
            "motion": self.motion.model_dump(mode="json") if self.motion else None,
            "refiner": self.refiner.info.recipe_hash if self.refiner else None,
            "select": str(self.selection.select) if self.selection else None,
            "glance": self.selection.glance.hash if self.selection else None,
        }

    def __str__(self) -> str:
        """In words, for a report."""
        plan = self.plan
        if plan.plain:
            tiles = f"the whole picture squeezed into {plan.size} px"
        else:
            scale = _scale_in_words(plan, self.pyramid)
            also = ", and the whole picture" if plan.full_image else ""
            tiles = f"tiles of {plan.size} px overlapping {plan.overlap_pixels} px{scale}{also}"
        text = f"{tiles}, merge {self.merge.method}, least score {self.score_threshold:g}"
        if self.selection is not None:
            text += f", {self.selection.in_words(plan)}"
        if self.refiner is None:
            return text
        info = self.refiner.info
        return f"{text}, boxes below {info.small:g} px judged once more by {info.name}"


def runner(detector: Detector, settings: RunSettings, profile: Profile | None = None) -> Runner:
    """`detect_image` with everything settled but the picture.

    A model that sees motion is shown that nothing moves, for a picture is no video. With a refiner,
    what the detector is less sure of takes part, too, down to the least score that the refiner has
    learned: it can raise a box above the threshold. Uniform tiles, and those that a glance does not
    choose, are not shown.
    """
    run = _runner(detector, settings, profile, skipping=True)
    return run if settings.motion is None else partial(_still, run, settings.motion)


def frame_runner(
    detector: Detector, settings: RunSettings, profile: Profile | None = None
) -> Runner:
    """The same for the frames of a video, which come with the channels that the model sees.

    What is skipped in a stream is its gate's to say: what it remembers of a tile would stay.

    Raises:
        UsageError: If tiles are to be chosen by a glance.
    """
    if settings.selection is not None:
        raise UsageError("select: for pictures; of a video, --gate chooses the tiles")
    return _runner(detector, settings, profile, skipping=False)


def _runner(
    detector: Detector, settings: RunSettings, profile: Profile | None, *, skipping: bool
) -> Runner:
    least, refiner = settings.score_threshold, settings.refiner
    if refiner is not None:
        least = min(least, refiner.info.least_score)
    (profile := profile or Profile()).runs_on = runs_on(detector)
    run: Runner = partial(
        detect_image,
        detector=detector,
        plan=settings.plan,
        pyramid=settings.pyramid,
        merge=settings.merge,
        score_threshold=least,
        size_multiple=settings.size_multiple,
        padding=settings.padding,
        batch_size=settings.batch_size,
        profile=profile,
    )
    if skipping:
        run = SkippingRunner(run, settings.plan, profile, settings.selection)
    if refiner is None:
        return run
    return RefiningRunner(run, refiner, settings.score_threshold, profile)


def _still(
    run: Runner,
    motion: MotionConfig,
    source: ImageSource,
    *,
    alone: bool = True,
    on_tiles: OnTiles | None = None,
) -> ImageResult:
    found = run(StillSource(source, motion), alone=alone, on_tiles=on_tiles)
    return replace(found, notes=(*found.notes, NO_MOTION))


def model_info(detector: Detector) -> ModelInfo | None:
    """What the detector's model file says; None for a plain callable."""
    info = getattr(detector, "info", None)
    return info if isinstance(info, ModelInfo) else None


def run_settings(detector: Detector, options: Options) -> RunSettings:
    """Resolve the options of one run.

    Unless the overlap is asked for, neighbouring tiles share at least the model's largest small
    object, at the scale of this run, so that each such object is whole in some tile.

    Raises:
        UsageError: If an option cannot be, in one line that names it.
    """
    info = model_info(detector)
    threshold = options.get("threshold")
    if threshold is None:
        threshold = info.score_threshold if info else _DEFAULT_THRESHOLD
    if not 0 <= threshold <= 1:
        raise UsageError(f"threshold must be from 0 to 1, got {threshold:g}")
    batch_size = options.get("batch_size")
    if batch_size is not None and batch_size < 1:
        raise UsageError(f"batch size must be at least 1, got {batch_size}")
    if batch_size is None and (tuned := choice_of(detector)):
        batch_size = tuned.batch_size
    pyramid = _pyramid(info, options)
    plan = _plan(info, options | Options(scale=max(pyramid.scales)) if pyramid else options)
    return RunSettings(
        plan=plan,
        pyramid=None if plan.plain or pyramid is None or len(pyramid.scales) == 1 else pyramid,
        merge=_merge(info, options.get("merge")),
        score_threshold=threshold,
        size_multiple=info.size_multiple
        if info
        else ModelInfo.model_fields["size_multiple"].default,
        padding=info.padding if info else 0,
        batch_size=batch_size,
        reading=reading_of(options),
        motion=_motion(info, options.get("stabilise")),
        refiner=_refiner(detector, options.get("refine")),
        selection=_selection(detector, info, options),
    )


def class_names_of(detector: Detector) -> tuple[str, ...]:
    """What a detector's labels mean: from its model file, else its `class_names`, else empty."""
    info = model_info(detector)
    return info.class_names if info else tuple(getattr(detector, "class_names", ()))


def _refiner(detector: Detector, asked: str | Path | OnnxRefiner | None) -> OnnxRefiner | None:
    """The refiner asked for, which must be of the detector's classes."""
    if asked is None:
        return None
    info = model_info(detector)
    if info is not None and info.motion is not None:
        raise UsageError(f"refine: {info.name} sees motion, and a refiner judges still crops")
    refiner = asked if isinstance(asked, OnnxRefiner) else OnnxRefiner(Path(asked))
    refiner.require_classes(class_names_of(detector))
    return refiner


def _selection(detector: Detector, info: ModelInfo | None, options: Options) -> Selection | None:
    """The glance asked for, which must be the detector's, and what it is asked for."""
    select, glance = options.get("select"), options.get("glance")
    if info is not None and info.motion is not None and (select, glance) != (None, None):
        raise UsageError(f"select: {info.name} sees motion, and a glance sees still pictures")
    return Selection.of(detector, class_names_of(detector), select, glance)


def plan_options(plan: TilePlan) -> Options:
    """The options that ask for exactly this plan."""
    return Options(
        tile=plan.size,
        overlap=plan.overlap,
        scale=plan.scale,
        full_image=plan.full_image,
        plain=plan.plain,
    )


def reading_of(options: Options) -> Reading:
    """Which bands and values of a picture the options ask for."""
    bands, asked = options.get("bands"), options.get("value_range")
    values = None
    if asked is not None:
        values = ValueRange.parse(asked) if isinstance(asked, str) else ValueRange(*asked)
    return Reading(None if bands is None else tuple(bands), values)


def _motion(info: ModelInfo | None, stabilise: str | None) -> MotionConfig | None:
    """The model's channels, from frames aligned as asked for."""
    motion = info.motion if info else None
    if stabilise is None:
        return motion
    if motion is None:
        raise UsageError("stabilise: the model sees no motion; leave it out")
    return MotionConfig.from_dict(motion.model_dump() | {"stabilise": stabilise}, "stabilise")


def _pyramid(info: ModelInfo | None, options: Options) -> Pyramid | None:
    """The scales that are asked for, or else the model's own."""
    scales, sides = options.get("scales"), options.get("scale_sides")
    own = info.pyramid if info and options.get("scale") is None else None
    if scales is None and own is not None:
        if sides is None:
            return own
        scales = own.scales
    if scales is None:
        if sides is not None:
            raise UsageError("scale_sides chooses between several scales; give scales, too")
        return None
    if options.get("scale") is not None:
        raise UsageError("scale and scales exclude each other; give one of them")
    try:
        return Pyramid.model_validate({"scales": scales, "sides": _sides(sides)})
    except ValidationError as error:
        text = describe(error, Pyramid)
        raise UsageError(f"scale_{text}" if text.startswith("sides") else text) from None


def _sides(asked: tuple[float, float] | str | None) -> tuple[float, float] | None:
    if not isinstance(asked, str):
        return asked
    try:
        low, high = (float(part) for part in asked.split(":"))
    except ValueError:
        raise UsageError(f"scale_sides: expected LOW:HIGH such as 24:96, got {asked!r}") from None
    return low, high


def _scale_in_words(plan: TilePlan, pyramid: Pyramid | None) -> str:
    if pyramid is None:
        return f", enlarged {plan.scale:g} times" if plan.scale != 1 else ""
    *others, finest = (f"{scale:g}" for scale in reversed(pyramid.scales))
    sides = pyramid.sides
    taken = f" (boxes of {sides[0]:g} to {sides[1]:g} px from each)" if sides else ""
    return f", enlarged {', '.join(others)} and {finest} times{taken}"


def _plan(info: ModelInfo | None, options: Options) -> TilePlan:
    asked = {
        "size": options.get("tile"),
        "overlap": options.get("overlap"),
        "scale": options.get("scale"),
        "full_image": options.get("full_image"),
        "plain": options.get("plain"),
    }
    given = {name: value for name, value in asked.items() if value is not None}
    base = info.tile_plan if info else TilePlan()
    values = base.model_dump() | given
    if "overlap" not in given:
        # The model's own overlap may not fit a size that was asked for.
        values["overlap"] = 0.0
    plan = _valid_plan(values)
    if "overlap" in given or plan.plain:
        return plan
    small = info.small_object if info else 0.0
    return plan.model_copy(update={"overlap": _default_overlap(base, plan, small)})


def _default_overlap(base: TilePlan, plan: TilePlan, small_object: float) -> float:
    """The model's overlap, or more where its largest small object needs it: ratio or pixels."""
    own = round(base.overlap * plan.size) if base.overlap < 1 else base.overlap_pixels
    needed = math.ceil(small_object * plan.scale)
    if own >= needed and own < plan.size // 2:
        return base.overlap
    return float(min(max(own, needed), plan.size // 2))


def _valid_plan(values: dict[str, object]) -> TilePlan:
    try:
        return TilePlan.model_validate(values)
    except ValidationError as error:
        raise UsageError(describe(error, TilePlan).replace("size:", "tile:", 1)) from None


def _merge(info: ModelInfo | None, asked: str | MergeConfig | None) -> MergeConfig:
    base = info.merge if info else MergeConfig()
    if asked is None:
        return base
    if isinstance(asked, MergeConfig):
        return asked
    methods = get_args(MergeMethod)
    if asked not in methods:
        raise UsageError(f"merge: expected one of {', '.join(methods)}, got {asked!r}")
    return MergeConfig.model_validate(base.model_dump() | {"method": asked})
