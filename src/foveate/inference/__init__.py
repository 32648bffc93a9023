"""Run a detector over pictures of any size."""
