"""How a step is carried out: one small file a kind, and the process that runs it."""
