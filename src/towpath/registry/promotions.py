"""Every change of a stage file that reached the main branch: the promotions, and their merges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from towpath.registry.versions import Version


@dataclass(frozen=True)
class Promotion:
    """One change of one stage file on the main branch's first-parent line.

    ``version`` is None where the model was taken out of the stage. ``commit`` is the commit on
    main; ``head`` the promotion's own last commit where main merged it, None where it came by a
    squash, a rebase, or by hand. ``time`` is seconds since 1970. ``trailers`` are the commit
    message's (``Approved-by``, ``Promotion``, ...), by lower-case key.
    """

    stage: str
    model: str
    version: Version | None
    sha256: str | None
    replaces: Version | None
    commit: str
    head: str | None
    time: int
    author: str
    subject: str
    trailers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
