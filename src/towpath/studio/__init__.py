"""Studio: pipelines, runs, models and stages as pages, served on loopback or written as files."""
