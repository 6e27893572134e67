"""Models in and out of files that run no code when they are read."""
