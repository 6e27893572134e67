"""New projects out of templates, the door to cookiecutter; repositories that become projects."""

from towpath.projects.adoption import (
    EMPTY_PIPELINE,
    Addition,
    NewFile,
    apply_additions,
    find_root,
    plan_additions,
)
from towpath.projects.catalogue import Template, catalogue, find
from towpath.projects.making import new
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
