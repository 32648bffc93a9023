"""Train a method from one recipe."""
