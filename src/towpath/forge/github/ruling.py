"""What GitHub enforces on main and on tags, and its environments."""

from __future__ import annotations

from collections.abc import Sequence

from towpath.errors import ForgeError
from towpath.forge.forge import Rules
from towpath.forge.github.asking import Line


def read(line: Line) -> Rules:
    """What is enforced now."""
    raise ForgeError(f"the rules of {line.name} cannot be read yet")


def enforce(line: Line, rules: Rules) -> Sequence[str]:  # noqa: ARG001
    """Make GitHub enforce these rules; what was changed, a line each."""
    raise ForgeError(f"the rules of {line.name} cannot be set yet")
