"""One memory for all commands of a test.

Each command opens a repository anew, and asks Git again for what no later command can find
otherwise: what stands under a whole hash. A server keeps the repository that it opened first, and
so do these tests, which run dozens of commands in one process and are about what people do. Tests
in which a clone itself is damaged, or Git is told to answer otherwise, do without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from towpath.backends.git import Repository


@contextmanager
def keep_repositories() -> Iterator[None]:
    """Whoever opens a repository again gets the one that was opened first, with what it knows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Repository, "find_repository", _remember_opened(Repository.find_repository))
        yield


def _remember_opened(
    find: Callable[[Path], Repository | None],
) -> Callable[[Path], Repository | None]:
    first_opened: dict[Path, Repository] = {}

    def find_repository(path: Path) -> Repository | None:
        opened = find(path)
        if opened is None:
            return None
        before = first_opened.setdefault(opened.root, opened)
        if before != opened:
            before = first_opened[opened.root] = opened
        return before

    return find_repository
