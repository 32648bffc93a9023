"""Every benchmark result says how it was made."""

from __future__ import annotations

import sys
from pathlib import Path

from provenance import command_line, provenance


def test_a_result_says_how_it_was_made() -> None:
    facts = provenance(7, Path(sys.executable))
    assert facts["seed"] == 7
    assert facts["versions"]["numpy"] == facts["peers"]["numpy"]
    assert provenance(7)["peers"] == {}


def test_the_command_leaves_out_where_folders_lie() -> None:
    arguments = ["/home/me/benchmarks/merge.py", "--peer-python", "../peers/bin/python", "--runs=3"]
    assert command_line(arguments) == "python benchmarks/merge.py --peer-python python --runs=3"
