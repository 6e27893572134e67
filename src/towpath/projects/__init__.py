"""New projects out of templates: the door to cookiecutter."""

from towpath.projects.catalogue import Template, catalogue, find
from towpath.projects.making import new
from towpath.projects.next_steps import next_commands

__all__ = ["Template", "catalogue", "find", "new", "next_commands"]
