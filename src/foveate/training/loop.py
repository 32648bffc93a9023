"""The training loop: one function to read from top to bottom."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

from foveate.config import write_atomically
from foveate.data.anchors import AnchorFit
from foveate.data.clips import motion_remark
from foveate.errors import FoveateError, UsageError
from foveate.models import METHODS, Method, Targets
from foveate.structures import Dataset
from foveate.training.anchors import in_words, resolve_anchors, suitability
from foveate.training.checkpoint import (
    CHECKPOINT,
    OPTIMISER,
    part,
    read_checkpoint,
    restore_optimiser,
    save_checkpoint,
)
from foveate.training.depthwise import widen_depthwise
from foveate.training.ema import MovingAverage
from foveate.training.loader import Part, batches, training_splits
from foveate.training.log import append_row
from foveate.training.processes import (
    agreed,
    is_first,
    make_fabric,
    one_voice,
    share_gradients,
    whole_batch,
)
from foveate.training.recipe import OptimiserConfig, Precision, Recipe
from foveate.training.validate import validate

RECIPE = "recipe.yaml"
FACTS = "facts.json"


def train(recipe: Recipe, data: Path, out: Path, resume: bool = True) -> Path:
    """Train, and leave in `out` the recipe, the checkpoint, logs and validation results.

    Args:
        recipe: Everything that determines the run; anchors that it leaves to the data are fitted
            first, and the run folder's recipe has them in numbers.
        data: A folder with ``train.json`` and perhaps ``val.json``, or another data set.
        out: The run folder. A run that was stopped there goes on from its last checkpoint.
        resume: False starts anew, and refuses a folder that holds a run.

    Returns:
        The run folder.

    Raises:
        UsageError: If `out` holds a run of another recipe, or one when `resume` is False.
        FoveateError: If the loss stops being finite; the last good checkpoint is kept.
    """
    with one_voice(recipe.devices):
        _train(recipe, data, out, resume)
    return out


def _train(recipe: Recipe, data: Path, out: Path, resume: bool) -> None:
    train_part, val_part = training_splits(data)
    train_set, clips = train_part.drawn(recipe)
    remark = motion_remark(train_set.name, clips, recipe.motion) if recipe.motion else None
    recipe, fits = resolve_anchors(recipe, train_set)
    _check_folder(recipe, out, resume, train_set)
    trainer = Trainer(recipe, len(train_set.class_names))
    first_process = is_first(recipe.devices)
    if first_process:
        _prepare_folder(recipe, out, train_set, fits)
    if fits and first_process:
        print(f"{recipe.name}: {in_words(fits)}", flush=True)
    if remark and first_process:
        print(f"{recipe.name}: {remark}", flush=True)
    first = _restore(out, trainer) if resume else 0
    trainer.start()
    drawn = batches(train_set, recipe, first, trainer.fabric.global_rank, clips)
    stream = agreed(drawn, trainer.fabric)
    if not first_process:
        for step, (images, targets) in enumerate(stream, start=first):
            _stop_unless_finite(trainer.step(step, images, targets), step, out)
        return
    run = _Run(recipe, out, trainer.model, trainer.average, trainer.optimiser)
    device = trainer.fabric.device
    with run.progress, run.writer:
        for step, (images, targets) in enumerate(stream, start=first):
            done = trainer.step(step, images, targets)
            _stop_unless_finite(done, step, out)
            run.after_step(step, done.losses, done.total)
            every = recipe.validate_every
            if val_part and every and (step + 1) % every == 0 and step + 1 < recipe.iterations:
                run.record(step + 1, val_part, device)
        if val_part:
            run.record(recipe.iterations, val_part, device)


class Step(NamedTuple):
    """What one step of the optimiser gave.

    Attributes:
        losses: By name, of the whole batch.
        total: Their sum.
        gradient: Its norm before it was clipped; nan where the loss was not finite.
        taken: Whether weights moved, or were left by fp16's scaling of the loss, which looks for
            its scale. Otherwise loss or gradient is not finite.
    """

    losses: dict[str, Tensor]
    total: Tensor
    gradient: Tensor
    taken: bool


class Trainer:
    """A model, its averaged twin and its optimiser, on the device that Fabric chooses.

    Args:
        recipe: Everything that determines the run; seeds the random numbers.
        class_count: Classes of the training data.
    """

    def __init__(self, recipe: Recipe, class_count: int) -> None:
        self.recipe = recipe
        self.precision = best_precision(recipe.precision)
        self.fabric = make_fabric(recipe.devices, self.precision)
        self.fabric.seed_everything(recipe.seed, verbose=False)
        self.model = build_method(recipe, class_count)
        if self.precision == "bf16-mixed" and not torch.cuda.is_available():
            widen_depthwise(self.model)
        self.model.to(memory_format=torch.channels_last)
        self.average = MovingAverage(self.model, recipe.optimiser.ema)
        fused = self.precision != "16-mixed"  # Fabric cannot clip what is scaled in the optimiser
        self.optimiser = build_optimiser(self.model, recipe.optimiser, fused=fused)

    def start(self) -> None:
        """Start the other processes, if any, and move all to the device.

        Weights and optimiser are restored before, if at all.
        """
        self.fabric.launch()
        model: nn.Module = self.model
        if self.recipe.compile:
            model = torch.compile(model)  # type: ignore[assignment]
        self._wrapped, self.optimiser = self.fabric.setup(model, self.optimiser)
        share_gradients(self.model.loss_parameters(), self.fabric)
        self.average.model.to(self.fabric.device)

    def step(self, number: int, images: Tensor, targets: list[Targets]) -> Step:
        """One step of the optimiser, left out where loss or gradient are not finite.

        Args:
            number: Of the step; decides the learning rate.
            images: ``(N, H, W, C)`` uint8, of this process.
            targets: One an image.
        """
        set_learning_rate(self.optimiser, self.recipe, number)
        device = self.fabric.device
        moved = [_moved(target, device) for target in targets]
        outputs = self._wrapped(images.to(device, non_blocking=True))
        losses = self.model.loss(*whole_batch(outputs, moved, self.fabric))
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            return Step(losses, total, total.new_tensor(math.nan), taken=False)
        self.optimiser.zero_grad(set_to_none=True)
        # Gradients are averaged over processes, each of which has its own tiles' part of the sum.
        self.fabric.backward(total * self.fabric.world_size)
        limit = self.recipe.optimiser.clip
        gradient: Tensor = self.fabric.clip_gradients(
            self.model, self.optimiser, max_norm=limit, error_if_nonfinite=False
        )  # type: ignore[assignment]
        if self.precision != "16-mixed" and not torch.isfinite(gradient):
            return Step(losses, total, gradient, taken=False)
        self.optimiser.step()
        if self.fabric.is_global_zero:
            self.average.update(self.model, number)
        return Step(losses, total, gradient, taken=True)


def best_precision(asked: Precision) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
    """What `auto` means on this machine; anything else as it is."""
    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        # Unknown before torch 2.10: then nothing is risked.
        can: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
        native = bool(can.get("avx512_bf16") or can.get("amx_bf16"))
    return "bf16-mixed" if native else "32-true"


def build_method(recipe: Recipe, class_count: int) -> Method:
    """The recipe's method, with fresh or ImageNet weights."""
    return METHODS[recipe.method.name](recipe.method, class_count, recipe.input_channels)


def build_optimiser(
    model: Method, config: OptimiserConfig, *, fused: bool = True
) -> torch.optim.Optimizer:
    """AdamW; decay on weights of convolutions only, the backbone at its own rate."""
    backbone = {id(p) for p in model.backbone_parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        groups.setdefault((id(parameter) in backbone, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "factor": config.backbone_factor if in_backbone else 1.0,
                "weight_decay": config.weight_decay if decays else 0.0,
            }
            for (in_backbone, decays), parameters in groups.items()
        ],
        lr=config.learning_rate,
        fused=fused,
    )


def set_learning_rate(optimiser: torch.optim.Optimizer, recipe: Recipe, step: int) -> None:
    """Linear warm-up, then half a cosine down to zero: a function of the step alone."""
    config = recipe.optimiser
    warm = min(1.0, (step + 1) / max(1, config.warmup))
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.iterations))
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate * group["factor"] * warm * cosine


@dataclass
class _Run:
    """Where a run's progress goes: terminal, CSV, TensorBoard, checkpoint."""

    recipe: Recipe
    out: Path
    model: Method
    average: MovingAverage
    optimiser: torch.optim.Optimizer

    def __post_init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(), TextColumn("loss {task.fields[loss]:.3f}"),
        )  # fmt: skip
        self.task = self.progress.add_task(self.recipe.name, total=self.recipe.iterations, loss=0.0)
        self.writer = SummaryWriter(str(self.out / "tensorboard"))
        self.started = time.monotonic()

    def after_step(self, step: int, losses: dict[str, Tensor], total: Tensor) -> None:
        """Show, log, and every so often save."""
        self.progress.update(self.task, completed=step + 1, loss=total.item())
        done = step + 1
        if done % 10 == 0 or done == self.recipe.iterations:
            row = {"iteration": done, "seconds": round(time.monotonic() - self.started, 1)}
            values = {name: round(value.item(), 5) for name, value in losses.items()}
            append_row(self.out / "log.csv", row | values)
            for name, value in values.items():
                self.writer.add_scalar(f"loss/{name}", value, done)
            if not self.progress.console.is_terminal and done % 50 == 0:
                print(f"{self.recipe.name}: {row | values}", flush=True)
        if done % self.recipe.save_every == 0 or done == self.recipe.iterations:
            facts = {
                "iteration": str(done),
                "method": self.recipe.method.name,
                "recipe": self.recipe.fingerprint(),
            }
            path = self.out / CHECKPOINT
            optimisers = {OPTIMISER: self.optimiser}
            save_checkpoint(path, self.model, self.average.model, optimisers, facts)

    def record(self, done: int, held_out: Part, device: torch.device) -> None:
        """Validate the averaged weights and add the result to ``validation.json``."""
        recipe = self.recipe
        val_set, clips = held_out.drawn(recipe)
        task = self.progress.add_task("validate", total=len(val_set), loss=0.0)
        scores = validate(
            self.average.model,  # type: ignore[arg-type]
            val_set,
            recipe.tile_plan,
            recipe.merge,
            pyramid=recipe.pyramid,
            device=device,
            progress=lambda count, total: self.progress.update(task, completed=count),
            motion=recipe.motion,
            clips=clips,
        )
        self.progress.remove_task(task)
        path = self.out / "validation.json"
        rows = json.loads(path.read_text()) if path.is_file() else []
        rows.append({"iteration": done, **scores.to_dict()})
        write_atomically(path, json.dumps(rows, indent=1).encode())
        print(f"{recipe.name}: iteration {done}: {scores.to_dict()['overall']}", flush=True)


def _check_folder(recipe: Recipe, out: Path, resume: bool, train_set: Dataset) -> None:
    """See, before anything is written, that a run in the folder is the one that goes on."""
    if not (out / CHECKPOINT).is_file():
        return
    if not resume:
        raise UsageError(f"{out} holds a run already: choose another --out, or let it resume")
    _, facts = read_checkpoint(out / CHECKPOINT)
    # A setting that came after the run began changes the fingerprint, and not the run.
    asked = recipe.fingerprint()
    if asked not in (facts.get("recipe"), Recipe.from_yaml(out / RECIPE).fingerprint()):
        raise UsageError(f"{out} holds a run of another recipe ({facts.get('method')}): "
                         "choose another --out")  # fmt: skip
    learned = tuple(json.loads((out / FACTS).read_text(encoding="utf-8"))["class_names"])
    if learned != tuple(train_set.class_names):
        raise UsageError(f"{out} holds a run with the classes {', '.join(learned)}; the pictures "
                         f"have {', '.join(train_set.class_names)}: choose --out")  # fmt: skip


def _prepare_folder(
    recipe: Recipe, out: Path, train_set: Dataset, fits: dict[str, AnchorFit]
) -> None:
    going_on = (out / CHECKPOINT).is_file()
    try:
        recipe.to_yaml(out / ("resumed.yaml" if going_on else RECIPE))
        facts: dict[str, Any] = {"class_names": train_set.class_names, "dataset": train_set.name,
                                 "licence": train_set.licence}  # fmt: skip
        if fits:
            facts["anchors"] = suitability(fits)
        write_atomically(out / FACTS, json.dumps(facts, indent=1).encode())
    except OSError as error:
        raise UsageError(f"{out}: cannot be written ({error.strerror}); choose --out") from None


def _restore(out: Path, trainer: Trainer) -> int:
    """Load the folder's checkpoint, if any; the iteration to go on from."""
    if not (out / CHECKPOINT).is_file():
        return 0
    tensors, facts = read_checkpoint(out / CHECKPOINT)
    trainer.model.load_state_dict(part(tensors, "model"))
    trainer.average.model.load_state_dict(part(tensors, "average"))
    restore_optimiser(trainer.optimiser, tensors)
    return int(facts["iteration"])


def _stop_unless_finite(done: Step, step: int, out: Path) -> None:
    if done.taken:
        return
    what, value = ("loss", done.total) if not torch.isfinite(done.total) else (
        "the gradient's norm", done.gradient)  # fmt: skip
    raise FoveateError(
        f"{what} is {value.item()} at iteration {step}; the checkpoint before it is in "
        f"{out}. Try a lower --optimiser.learning-rate, or --precision 32-true"
    )


def _moved(targets: Targets, device: torch.device) -> Targets:
    return Targets(targets.boxes.to(device), targets.labels.to(device), targets.ignore.to(device))
