"""Where things go."""

from pathlib import Path

NAME = "report"


def target(folder):
    return Path(folder) / NAME
