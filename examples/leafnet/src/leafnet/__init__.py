"""Which tree a leaf is of."""
