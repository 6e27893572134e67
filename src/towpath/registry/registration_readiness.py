"""Whether a run may register at its end, asked before its first step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from towpath.backends.git import Identity, Repository, State, submodules
from towpath.errors import Fault, UserError

MOST_NAMED = 5
WHOLE = "git fetch --unshallow --tags (in GitHub Actions: actions/checkout with fetch-depth: 0)"


@dataclass(frozen=True)
class Ready:
    """A run may register: upon this commit, in this name. ``branch`` is None on a detached head."""

    commit: str
    branch: str | None
    identity: Identity


@dataclass(frozen=True)
class Skipped:
    """A run goes on and registers nothing; ``reason`` is for one line, ``faults`` say all."""

    reason: str
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return f"skipped: {self.reason}"


def readiness(
    repository: Repository | None,
    required: bool = False,
    written: Callable[[str], bool] | None = None,
) -> Ready | Skipped:
    """Whether what a run makes can be registered, judged by what is committed now.

    ``written`` tells, by its path from the repository's root, a file that a run itself writes.
    A detached head is well: versions stand beside the branches. Where registering is ``required``,
    what stands against it is a ``UserError`` with every fault.
    """
    if repository is None:
        return _stopped(required, [Fault("no Git repository", hint="git init, and commit")])
    state = repository.state(written)
    faults = list(_faults(repository, state))
    if faults or state.commit is None:
        return _stopped(required, faults)
    return Ready(state.commit, state.branch, repository.identity())


def _faults(repository: Repository, state: State) -> Iterator[Fault]:
    if state.commit is None:
        yield Fault("nothing is committed yet", hint="git add . && git commit")
    elif state.changed:
        yield Fault(_uncommitted(state.changed), hint=_named(state.changed))
    for path, why in state.submodules.items():
        hint = f"{submodules.SET_UP}; or commit in {path}, and then git add {path}"
        yield Fault(f"the submodule {path} is not as it is committed: {why}", hint=hint)
    if repository.is_shallow():
        yield Fault("a shallow clone lacks the versions before", hint=WHOLE)
    try:
        repository.identity()
    except UserError as unknown:
        yield from unknown.faults


def _stopped(required: bool, faults: list[Fault]) -> Skipped:
    if required:
        raise UserError(*(Fault(f"cannot register: {f.what}", f.place, f.hint) for f in faults))
    return Skipped("; ".join(fault.what for fault in faults), tuple(faults))


def _uncommitted(changed: tuple[str, ...]) -> str:
    return "1 file not committed" if len(changed) == 1 else f"{len(changed)} files not committed"


def _named(changed: tuple[str, ...]) -> str:
    more = len(changed) - MOST_NAMED
    shown = [path.encode("utf-8", "backslashreplace").decode() for path in changed[:MOST_NAMED]]
    return ", ".join([*shown, *([f"and {more} more"] if more > 0 else [])])
