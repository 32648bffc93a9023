"""From a trained model to the one file the runtime needs.

Nothing is imported here: `foveate.export.quantise` needs no torch, the others do.
"""
