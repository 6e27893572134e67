"""Packages as a version's record has them, beside those that are installed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata


def compare_packages(
    recorded: Mapping[str, str], python: str | None, homes: Iterable[str]
) -> tuple[str, ...]:
    """What differs, in words: ``scikit-learn 1.8.0 recorded, 1.7.2 here``.

    :param python: the recorded version of Python.
    :param homes: the top modules that a model's classes come from: what differs in those is told
        first, since it may matter to whoever loads the model.
    """
    differing = {
        name: f"{name} {version} recorded, {installed or 'none'} here"
        for name, version in recorded.items()
        if _is_version(version) and (installed := _installed_version(name)) != version
    }
    close = _names_of(homes) if differing else frozenset()
    matters = [
        f"{words}: the model's classes come from it"
        for name, words in differing.items()
        if _plain_name(name) in close
    ]
    others = [words for name, words in differing.items() if _plain_name(name) not in close]
    if python and python.split(".")[:2] != [str(part) for part in sys.version_info[:2]]:
        others.append(f"Python {python} recorded, {sys.version_info[0]}.{sys.version_info[1]} here")
    return (*matters, *others)


def find_recorded(recorded: Mapping[str, str], home: str) -> tuple[str, str] | None:
    """The recorded package that a top module comes from, by its name, and its version.

    It is not installed, so that only its name tells: ``xgboost`` is of ``xgboost`` or of
    ``xgboost-cpu``.
    """
    for name, version in recorded.items():
        if _plain_name(name) == _plain_name(home) or _plain_name(name).startswith(
            f"{_plain_name(home)}-"
        ):
            return name, version
    return None


def _is_version(text: str) -> bool:
    return text[:1].isdigit()  # of a package without one the record has a digest


def _installed_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _names_of(homes: Iterable[str]) -> frozenset[str]:
    """The distributions that top modules come from."""
    distributions = metadata.packages_distributions()
    return frozenset(_plain_name(name) for home in homes for name in distributions.get(home, ()))


def _plain_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
