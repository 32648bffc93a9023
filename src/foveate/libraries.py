"""Libraries that foveate works with and does not need: imported when one is asked for.

By name at run time, not by an import statement, so that the runtime stays free of torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foveate.errors import FoveateError


def import_library(name: str, asked: str, install: str | None = None) -> Any:
    """Import a library, or one of its modules.

    Args:
        name: Of the module, with dots.
        asked: What needs it, for the message.
        install: What to install, if not just the library of that name.

    Raises:
        FoveateError: If it is not installed, with what to install, or if importing it fails.
    """
    library = name.partition(".")[0]
    try:
        return import_module(name)
    except Exception as error:  # a library may fail in any way while it is imported
        missing = (getattr(error, "name", None) or "").partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and missing in (library, "torch"):
            raise FoveateError(
                f"{asked} needs the library {missing}: pip install {install or missing}"
            ) from None
        raise FoveateError(
            f"{asked} needs the library {library}, which cannot be imported: {one_line(error)}"
        ) from error


def one_line(error: BaseException) -> str:
    """What an error of a library says, in one line of at most 300 characters, no full stop."""
    said = " ".join(str(error).split()).rstrip(".")
    return f"{said[:297]}..." if len(said) > 300 else said or type(error).__name__


def as_array(values: Any) -> NDArray[Any]:
    """A numpy copy of a torch tensor, whichever device it lies on, or of what numpy takes."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        # numpy has no bfloat16
        values = values.float() if values.is_floating_point() else values
        values = values.numpy()
    return np.array(values)
