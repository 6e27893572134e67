"""Where changes are proposed, reviewed and merged: pull requests behind a small interface.

GitHub is the one forge so far; ``forge.github`` is the one door to its client.
"""

from towpath.forge.forge import Environment, Forge, PullRequest, Review, Rules

__all__ = ["Environment", "Forge", "PullRequest", "Review", "Rules"]
