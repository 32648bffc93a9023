"""The errors foveate raises on purpose: one clear line that says what to do."""

from __future__ import annotations


class FoveateError(Exception):
    """Something the user can mend; the command line prints it as one line.

    Args:
        message: What is wrong, where, and what to do next; no trailing newline.
    """

    exit_code = 1


class UsageError(FoveateError):
    """An argument that cannot be: exit code 2 on the command line."""

    exit_code = 2
