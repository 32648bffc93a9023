"""Two processes on this machine: the tiles, the gradient and the run of one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from squares import tiny, write_squares

from foveate.errors import UsageError
from foveate.models import Targets
from foveate.training.checkpoint import CHECKPOINT, part, read_checkpoint
from foveate.training.loader import Share
from foveate.training.processes import pack_targets, unpack_targets
from foveate.training.recipe import Recipe

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

PROBE = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from foveate.training.loader import batches, training_splits
from foveate.training.loop import Trainer
from foveate.training.recipe import Recipe

def main():
    recipe, folder = Recipe.from_yaml(sys.argv[1]), Path(sys.argv[3])
    (data, _), _ = training_splits(Path(sys.argv[2]))
    trainer = Trainer(recipe, len(data.class_names))
    for module in trainer.model.modules():  # statistics of own tiles are the one difference
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    trainer.start()
    rank, losses, seen = trainer.fabric.global_rank, [], []
    for step, (images, targets) in enumerate(batches(data, recipe, 0, rank)):
        seen.append(images.clone())
        losses.append(trainer.step(step, images, targets).total.detach())
    kept = dict(trainer.model.state_dict())
    kept |= {"tiles": torch.stack(seen), "losses": torch.stack(losses)}
    save_file({k: v.contiguous().clone() for k, v in kept.items()}, folder / f"{rank}")

if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_squares(tmp_path_factory.mktemp("squares"))


def probe(folder: Path, data: Path, recipe: Recipe) -> list[dict[str, torch.Tensor]]:
    """What each process saw and has in the end."""
    folder.mkdir()
    (folder / "probe.py").write_text(PROBE)
    recipe.to_yaml(folder / "recipe.yaml")
    paths = map(str, (folder / "probe.py", folder / "recipe.yaml", data, folder))
    command = [sys.executable, *paths]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=300)
    return [load_file(folder / str(rank)) for rank in range(recipe.devices)]


def start(data: Path, recipe: Path, out: Path) -> subprocess.Popen[str]:
    paths = (str(recipe), "--data", str(data), "--out", str(out))
    command = [sys.executable, "-m", "foveate", "train", *paths]
    return subprocess.Popen(
        command, env=ENVIRONMENT, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


TWO_STAGES = {
    "name": "faster-rcnn", "backbone": {"weights": "none", "strides": (8,)}, "width": 16,
    "anchors": "9x9", "proposals": {"considered": 60, "kept": 30}, "max_detections": 30,
}  # fmt: skip


@pytest.mark.parametrize("method", [None, TWO_STAGES])
def test_two_learn_what_one_learns(
    data: Path, tmp_path: Path, method: dict[str, object] | None
) -> None:
    chosen: dict[str, object] = {"method": method} if method else {}
    recipe = tiny(iterations=2, batch_size=4, precision="32-true", **chosen)
    (one,) = probe(tmp_path / "one", data, recipe)
    first, second = probe(tmp_path / "two", data, recipe.model_copy(update={"devices": 2}))
    tiles = torch.cat([first.pop("tiles"), second.pop("tiles")], dim=1)
    assert torch.equal(tiles, one.pop("tiles"))
    for name, value in first.items():
        assert torch.equal(value, second[name]), name
    # Adam's first steps go by the sign of a gradient, so a few weights differ by a step.
    assert torch.allclose(first["losses"], one["losses"], rtol=1e-4)
    gap = torch.cat([(first[k] - one[k]).abs().flatten() for k in one if k != "losses"])
    assert gap.quantile(0.99) < 1e-5


def test_a_killed_run_of_two_goes_on_exactly(data: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "two.yaml"
    tiny(iterations=6, devices=2, save_every=2).to_yaml(recipe)
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    whole = start(data, recipe, straight)
    out, err = whole.communicate(timeout=300)
    assert (whole.returncode, err.count("done:")) == (0, 1), err
    assert out.count("iteration 6:") == 1
    assert {path.name for path in straight.iterdir()} == {
        "recipe.yaml", "facts.json", CHECKPOINT, "log.csv", "tensorboard", "validation.json",
    }  # fmt: skip
    run = start(data, recipe, killed)
    while not (killed / CHECKPOINT).is_file() and run.poll() is None:
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate(timeout=60)
    assert read_checkpoint(killed / CHECKPOINT)[1]["iteration"] in ("2", "4", "6")
    again = start(data, recipe, killed)
    _, err = again.communicate(timeout=300)
    assert again.returncode == 0, err
    tensors, expected = (read_checkpoint(folder / CHECKPOINT)[0] for folder in (killed, straight))
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in tensors.items())
    assert part(tensors, "model")


def test_a_broken_picture_is_one_line_of_one_process(data: Path, tmp_path: Path) -> None:
    folder = write_squares(tmp_path / "data")
    for path in (folder / "images").glob("train*"):
        path.write_text("not a picture")
    recipe = tmp_path / "two.yaml"
    tiny(devices=2).to_yaml(recipe)
    run = start(folder, recipe, tmp_path / "run")
    _, err = run.communicate(timeout=300)
    assert run.returncode == 1
    assert len([line for line in err.splitlines() if line.startswith("foveate: ")]) == 1


def test_shares_are_the_whole_in_order() -> None:
    shares = [Share(6, first, 3, first_step=2, steps=4) for first in (0, 3)]
    drawn = [[share.tile(i) for i in range(len(share))] for share in shares]
    assert drawn == [[12, 13, 14, 18, 19, 20], [15, 16, 17, 21, 22, 23]]


def test_packed_targets_come_back() -> None:
    empty = Targets(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0, 4))
    full = Targets(torch.rand(3, 4), torch.tensor([5, 0, 2]), torch.rand(2, 4))
    for wanted in ([empty], [empty, full, empty, full]):
        found = unpack_targets(pack_targets(wanted), len(wanted))
        for a, b in zip(found, wanted, strict=True):
            assert torch.equal(a.boxes, b.boxes)
            assert torch.equal(a.labels, b.labels)
            assert torch.equal(a.ignore, b.ignore)


def test_a_batch_that_cannot_be_shared() -> None:
    with pytest.raises(UsageError, match=r"multiple of devices \(3\), got 8"):
        Recipe.from_dict({"name": "x", "devices": 3})


def test_devices_and_workers_do_not_decide_what_is_learned() -> None:
    plain = tiny()
    assert tiny(devices=2, workers=1).fingerprint() == plain.fingerprint()
    assert tiny(seed=1).fingerprint() != plain.fingerprint()
