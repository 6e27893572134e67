"""The door to Prefect: a graph becomes a genuine flow, a task for each step."""
