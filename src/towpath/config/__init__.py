"""What may be said: the frozen types of a pipeline and of a project."""
