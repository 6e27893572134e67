"""What judging one gate came to, before it is told as a verdict."""

from __future__ import annotations

from dataclasses import dataclass

from towpath.config.artifact import Json


@dataclass(frozen=True)
class GateFinding:
    """Whether the version passed, what was found, and in ``detail`` what else a reviewer needs.

    ``bound`` is given where it is known more exactly than the declaration says it.
    """

    passed: bool
    value: Json = None
    detail: str = ""
    bound: Json = None


class Unjudged(Exception):  # a gate cannot be evaluated: it has failed, and these words say why
    """A gate cannot be evaluated; its words say why."""
