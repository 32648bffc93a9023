"""What the terminal shows: tables and JSON on stdout, progress and notes on stderr."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from foveate.reports.tables import Table, to_rich

_QUIET_SECONDS = 5.0
"""Between two lines of progress where there is no terminal to draw a bar on."""
_WIDE = 160
"""Columns where there is no terminal, so that no cell is broken in a file."""


def show_table(table: Table) -> None:
    """Print a table on stdout."""
    from rich.console import Console

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDE
    console = Console(file=sys.stdout, width=width, highlight=False)
    # Captured, because rich would end the process where a reader has closed the pipe.
    with console.capture() as captured:
        console.print(to_rich(table))
    sys.stdout.write(captured.get())


def show_json(values: Any) -> None:
    """Print plain data on stdout as one JSON document."""
    json.dump(values, sys.stdout)
    sys.stdout.write("\n")


def note(text: str) -> None:
    """Print a line on stderr."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on a terminal, otherwise a line now and then; nothing for a single step.

    Yields:
        To be called after each step.
    """
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        show(done, total)

    with progress_of(what) as show:
        yield step


@contextmanager
def progress_of(what: str) -> Iterator[Callable[[int, int], None]]:
    """The same where the number of steps is known late.

    Yields:
        To be called with the steps done and the number of all steps.
    """
    if sys.stderr.isatty():
        with _bar(what) as show:
            yield show
    else:
        yield _lines(what)


@contextmanager
def running(what: str) -> Iterator[Callable[[object], None]]:
    """One line that tells how a run is going, renewed on a terminal; otherwise one now and then.

    Yields:
        To be called with what is to be told, which becomes text only when it is shown.
    """
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(what) as status:
            yield lambda state: status.update(f"{what}: {state}")
        return
    said = time.monotonic()

    def tell(state: object) -> None:
        nonlocal said
        if time.monotonic() - said >= _QUIET_SECONDS:
            said = time.monotonic()
            note(f"{what}: {state}")

    yield tell


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=total > 1)


def _lines(what: str) -> Callable[[int, int], None]:
    said = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal said
        now = time.monotonic()
        if total > 1 and now - said >= _QUIET_SECONDS:
            said = now
            note(f"{what}: {done} of {total}")

    return show
