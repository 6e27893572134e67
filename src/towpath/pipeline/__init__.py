"""A pipeline's graph: every name resolved, the order of steps, the key of each."""
