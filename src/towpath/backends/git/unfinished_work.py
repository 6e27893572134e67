"""What a person began in a work tree and did not end: a merge, a rebase."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.backends.git.git_command import split_lines

if TYPE_CHECKING:
    from towpath.backends.git.repository import Repository

_TRACES = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_START": "bisect",
}


def find_unfinished_work(repository: Repository) -> str | None:
    """``merge``, ``rebase`` and so on, where one goes on in the work tree."""
    words = [word for name in _TRACES for word in ("--git-path", name)]
    answer = repository.attempt_git("rev-parse", *words)
    paths = [] if answer.code else split_lines(answer.text)
    traces = zip(paths, _TRACES.values(), strict=False)
    return next((work for path, work in traces if (repository.root / path).exists()), None)
