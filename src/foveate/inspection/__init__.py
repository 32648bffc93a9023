"""Look at a data set before training on it: how small, how sound, and how honestly split."""
