"""Where changes are proposed, reviewed and merged: pull requests behind a small interface.

GitHub is the one forge so far; ``backends.github`` is the one door to its client.
"""

from towpath.forge.forge_backend import (
    Environment,
    Forbidden,
    Forge,
    MergeWays,
    NotMergeable,
    PullRequest,
    Review,
    Rules,
)
from towpath.forge.forge_requirements import Lack, derive_forge_rules, find_lacking_rules

__all__ = [
    "Environment",
    "Forbidden",
    "Forge",
    "Lack",
    "MergeWays",
    "NotMergeable",
    "PullRequest",
    "Review",
    "Rules",
    "derive_forge_rules",
    "find_lacking_rules",
]
