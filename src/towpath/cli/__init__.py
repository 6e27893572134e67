"""Says it: the command line."""
