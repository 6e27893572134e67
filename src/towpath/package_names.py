"""The names of packages, which are written in more than one way."""

from __future__ import annotations

import re


def plain_package_name(name: str) -> str:
    """The one spelling by which two names of a package are held against each other."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
