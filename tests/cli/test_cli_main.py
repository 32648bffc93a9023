import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from foveate import cli
from foveate.errors import FoveateError, UsageError

Call = Callable[..., Any]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_the_commands(foveate: Call, arguments: list[str]) -> None:
    done = foveate(*arguments)
    assert done.code == 0
    assert done.err == ""
    assert "{" + ",".join(cli.COMMANDS) + "}" in done.out
    for line in cli.COMMANDS.values():
        assert line in done.out


@pytest.mark.parametrize("command", sorted(set(cli.COMMANDS) - {"train", "glance"}))
def test_every_command_has_help(foveate: Call, command: str) -> None:
    done = foveate(command, "--help")
    assert done.code == 0
    assert f"usage: foveate {command}" in done.out
    assert "(default: None)" not in done.out
    assert done.err == ""


def test_version(foveate: Call) -> None:
    assert foveate("--version").out.startswith("foveate ")


def test_unknown_command(foveate: Call) -> None:
    done = foveate("detekt", "a.png")
    assert done.code == 2
    assert done.line.startswith("no command 'detekt'; did you mean 'detect'? (commands: demo, ")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["detect"], "SOURCE is missing (see 'foveate detect --help')"),
        (["evaluate", "a", "b", "c"], "unknown: c (see"),
        (["detect", "a", "--tlie", "3"], "unknown: --tlie, 3 (see"),
        (["detect", "a", "--tile"], "--tile needs a value (see"),
        (["detect", "a", "--tile", "x"], "--tile: expected a number, got 'x' (see"),
        (["detect", "a", "--threshold", ""], "--threshold: expected a number, got '' (see"),
        (["evaluate", "m"], "DATASET is missing (see 'foveate evaluate --help')"),
        (["evaluate", "m", "d", "--only", "x"], "invalid choice 'x' for argument '--only'"),
        (["demo", "--seed", "x"], "--seed: expected a whole number, got 'x'"),
    ],
)
def test_wrong_usage_is_one_line(foveate: Call, arguments: list[str], expected: str) -> None:
    done = foveate(*arguments)
    assert done.code == 2
    assert done.line.startswith(expected)
    assert done.out == ""


def raising(error: BaseException) -> SimpleNamespace:
    def main(arguments: Sequence[str]) -> None:
        raise error

    return SimpleNamespace(main=main)


@pytest.mark.parametrize(
    ("error", "code", "expected"),
    [
        (FoveateError("this is wrong"), 1, "this is wrong"),
        (UsageError("asked wrongly"), 2, "asked wrongly"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (KeyboardInterrupt("3 of 4 are done"), 130, "interrupted: 3 of 4 are done"),
        (MemoryError(), 1, "not enough memory"),
        (OSError(28, "No space left on device", "out/a"), 1, "out/a: No space left on device"),
        (OSError("odd"), 1, "odd"),
        (FoveateError("a\nb\x1b[31m.png is no picture"), 1, r"a\nb\x1b[31m.png is no picture"),
        (ZeroDivisionError("a\nb"), 1, "unexpected ZeroDivisionError: a b (set FOVEATE_DEBUG=1 to"),
    ],
)
def test_errors_become_one_line_and_a_code(
    foveate: Call,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    expected: str,
) -> None:
    monkeypatch.setattr(cli, "import_module", lambda name: raising(error))
    done = foveate("models")
    assert done.code == code
    assert done.line.startswith(expected)


def test_debug_shows_where(foveate: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "import_module", lambda name: raising(ZeroDivisionError("oh")))
    monkeypatch.setenv("FOVEATE_DEBUG", "1")
    done = foveate("models")
    assert done.code == 1
    assert "Traceback" in done.err
    assert "ZeroDivisionError: oh" in done.err


def test_main_exits_with_the_code() -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["nonsense"])
    assert stopped.value.code == 2


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_is_there(command: str) -> None:
    assert callable(import_module(f"foveate.cli.{command}").main)


@pytest.mark.parametrize("argument", ["--help", "models"])  # plain text, and a table
def test_a_closed_pipe_is_no_drama(argument: str) -> None:
    # The reader goes before anything is written.
    code = f"import time; time.sleep(0.3); from foveate.cli import main; main([{argument!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_a_name_that_the_terminal_cannot_show_is_no_failure(tmp_path: Path) -> None:
    labels = {
        "images": [{"id": 1, "file_name": "a.png", "width": 50, "height": 40}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [3, 3, 5, 5]}],
        "categories": [{"id": 1, "name": "gr\u00f6\u00dfe \u6f22"}],
    }
    (tmp_path / "one.json").write_text(json.dumps(labels))
    done = subprocess.run(
        [sys.executable, "-m", "foveate", "inspect", "--labels-only", tmp_path / "one.json"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert rb"gr\xf6\xdfe \u6f22" in done.stdout


@pytest.mark.parametrize("module", ["foveate", "foveate.cli"])
def test_as_a_module_and_light(module: str) -> None:
    environment = os.environ | {"PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stdout.startswith("usage: foveate {")
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "foveate.cli" in imported
    assert not imported & {"numpy", "cv2", "pydantic", "tyro", "onnxruntime", "rich"}
