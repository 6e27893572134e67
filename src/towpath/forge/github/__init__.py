"""GitHub, through githubkit, whose types are made from GitHub's own description of its API."""

from towpath.forge.github.asking import Patience
from towpath.forge.github.client import GitHub

__all__ = ["GitHub", "Patience"]
