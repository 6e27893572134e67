"""New projects out of templates: the door to cookiecutter."""
