"""Somebody's code in a child process: the steps of a run, gates, smoke tests."""
