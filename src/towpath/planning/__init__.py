"""What a run will do: which steps run, which are reused or skipped, and why."""
