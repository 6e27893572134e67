"""What a gate said of a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from towpath.config.artifact import Json


@dataclass(frozen=True)
class GateVerdict:
    """One gate's word: the value, the bound, and where the bound came from.

    ``source`` is a place in the base commit (``towpath.yaml:14 at 3f2a1c0``). A gate that cannot
    be evaluated has not passed, and ``detail`` says why.
    """

    gate: str
    kind: str
    when: Literal["review", "deploy"]
    passed: bool
    value: Json = None
    bound: Json = None
    source: str = ""
    detail: str = ""
