"""GitHub, through githubkit, whose types are made from GitHub's own description of its API."""

from towpath.backends.github.github_forge import GitHub
from towpath.backends.github.github_requests import Patience

__all__ = ["GitHub", "Patience"]
