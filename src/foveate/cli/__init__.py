"""The command line: one file per command, and the only place where errors become exit codes.

Only the command that is asked for is imported, so that ``foveate --help`` answers at once.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module

from foveate.errors import FoveateError, UsageError

COMMANDS = {
    "demo": "Detect in a sample picture, plain and in tiles, and show the difference.",
    "detect": "Detect small objects in pictures of any size.",
    "inspect": "Say how small a data set's objects are for a network, and what to do about it.",
    "evaluate": "Measure AP and recall by object size, of a model or of predictions.",
    "compare": "Say whether one run is better than another, or the difference may be luck.",
    "convert": "Write a labelled data set in another format.",
    "models": "List the bundled models.",
    "glance": "Fit what says where a detector should look, so that it need not look everywhere.",
    "train": "Train a detector from a recipe.",
    "export": "Make one model.onnx of a training run.",
    "quantise": "Make an int8 file of a model.onnx: smaller, mostly faster, a little less exact.",
    "benchmark": "Find the fastest way to run a model on this machine, and remember it.",
}
"""What each command does; command NAME is ``foveate.cli.NAME.main(arguments)``."""

_INTERRUPTED = 130
_BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> None:
    """The ``foveate`` command.

    Args:
        arguments: Without the program's name; those of the process by default.

    Raises:
        SystemExit: Always: 0 done, 1 a failure, 2 wrong usage, 130 interrupted.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal's encoding lacks is no reason to fail; stderr is set so already.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a command; every failure becomes one line on stderr.

    Returns:
        The exit code.
    """
    try:
        _dispatch(arguments)
        sys.stdout.flush()
    except FoveateError as error:
        _fail(str(error))
        return error.exit_code
    except KeyboardInterrupt as error:
        _fail(f"interrupted: {error}" if str(error) else "interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has enough; the interpreter must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except MemoryError:
        _fail("not enough memory")
        return 1
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 1
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        _fail(f"unexpected {text} (set FOVEATE_DEBUG=1 to see where, and please report it)")
        return 1
    return 0


def one_line(message: str) -> str:
    """The message with line breaks and other control characters, as names have, made visible."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: repr(found[0])[1:-1], message)


def _dispatch(arguments: Sequence[str]) -> None:
    command = arguments[0] if arguments else "--help"
    if command in ("-h", "--help", "help"):
        print(_help())
    elif command in ("-V", "--version"):
        from foveate import __version__

        print(f"foveate {__version__}")
    elif command in COMMANDS:
        import_module(f"foveate.cli.{command}").main(arguments[1:])
    else:
        raise UsageError(_unknown(command))


def _help() -> str:
    width = max(map(len, COMMANDS))
    rows = [f"  {name:<{width}}  {line}" for name, line in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: foveate {{{','.join(COMMANDS)}}} ...",
            "",
            "Detect small objects in pictures far larger than the network's input.",
            "",
            *rows,
            "",
            "'foveate COMMAND --help' tells more of each; 'foveate demo' is a good start.",
        ]
    )


def _unknown(command: str) -> str:
    import difflib

    near = difflib.get_close_matches(command, COMMANDS, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no command {command!r}{hint} (commands: {', '.join(COMMANDS)})"


def _fail(message: str) -> None:
    if os.environ.get("FOVEATE_DEBUG") and sys.exc_info()[0] is not None:
        import traceback

        traceback.print_exc()
    print(f"foveate: {one_line(message)}", file=sys.stderr, flush=True)
