"""``python -m foveate.cli``, the same as ``python -m foveate``."""

from __future__ import annotations

from foveate.cli import main

if __name__ == "__main__":
    main()
