"""New projects out of templates, the door to cookiecutter; repositories that become projects."""

from towpath.backends.cookiecutter.make_project import new
from towpath.backends.cookiecutter.template_catalogue import Template, catalogue, find
from towpath.projects.adoption import (
    EMPTY_PIPELINE,
    Addition,
    NewFile,
    apply_additions,
    find_root,
    plan_additions,
)
from towpath.projects.next_steps import next_commands

__all__ = [
    "EMPTY_PIPELINE",
    "Addition",
    "NewFile",
    "Template",
    "apply_additions",
    "catalogue",
    "find",
    "find_root",
    "new",
    "next_commands",
    "plan_additions",
]
