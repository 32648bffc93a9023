"""What train and export say before torch is needed; the rest is tested where torch is."""

from collections.abc import Callable
from typing import Any

import pytest

from foveate.cli import train

Call = Callable[..., Any]


@pytest.mark.parametrize("command", ["train", "export"])
def test_without_torch(foveate: Call, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr(train, "find_spec", lambda name: None)
    done = foveate(command, "something")
    assert done.code == 1
    assert done.line == (
        f'{command} needs torch, which is not installed: pip install "foveate[train]"'
    )


def test_packages_that_refuse_to_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(train, "find_spec", refuse)
    with pytest.raises(Exception, match="needs torch"):
        train.require_training("train")
