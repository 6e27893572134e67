"""Where changes are proposed, reviewed and merged: pull requests behind a small interface.

GitHub is the one forge so far; ``forge.github`` is the one door to its client.
"""

from towpath.forge.connecting import connect
from towpath.forge.forge import (
    Environment,
    Forge,
    NotMergeable,
    PullRequest,
    Review,
    Rules,
)

__all__ = [
    "Environment",
    "Forge",
    "NotMergeable",
    "PullRequest",
    "Review",
    "Rules",
    "connect",
]
