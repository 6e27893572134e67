"""Towpath: an ML platform in a Git repository."""

__version__ = "0.1.0"
