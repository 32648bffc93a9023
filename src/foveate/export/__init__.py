"""From a trained model to the one file the runtime needs."""

from foveate.export.onnx import export_run, load_run

__all__ = ["export_run", "load_run"]
