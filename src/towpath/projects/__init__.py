"""New projects out of templates, the door to cookiecutter; repositories that become projects."""

from towpath.backends.cookiecutter.make_project import (
    catalogue,
    find_template,
    make_from_template,
)
from towpath.projects.adoption import (
    EMPTY_PIPELINE,
    Addition,
    NewFile,
    apply_additions,
    find_root,
    next_commands,
    plan_additions,
)

__all__ = [
    "EMPTY_PIPELINE",
    "Addition",
    "NewFile",
    "apply_additions",
    "catalogue",
    "find_root",
    "find_template",
    "make_from_template",
    "next_commands",
    "plan_additions",
]
