"""Whether a run may register at its end, asked before its first step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from towpath.backends.git import Identity, Repository, WorkTreeState, submodules
from towpath.errors import Fault, UserError

MOST_NAMED = 5
WHOLE = "git fetch --unshallow --tags (in GitHub Actions: actions/checkout with fetch-depth: 0)"


@dataclass(frozen=True)
class ReadyToRegister:
    """A run may register: upon this commit, in this name. ``branch`` is None on a detached head."""

    commit: str
    branch: str | None
    identity: Identity


@dataclass(frozen=True)
class RegistrationSkipped:
    """A run goes on and registers nothing; ``reason`` is for one line, ``faults`` say all."""

    reason: str
    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return f"skipped: {self.reason}"


def judge_readiness(
    repository: Repository | None,
    required: bool = False,
    written: Callable[[str], bool] | None = None,
) -> ReadyToRegister | RegistrationSkipped:
    """Whether what a run makes can be registered, judged by what is committed now.

    ``written`` tells, by its path from the repository's root, a file that a run itself writes.
    A detached head is well: versions stand beside the branches. Where registering is ``required``,
    what stands against it is a ``UserError`` with every fault.
    """
    if repository is None:
        return _skip_for_faults(required, [Fault("no Git repository", hint="git init, and commit")])
    state = repository.state(written)
    faults = list(_readiness_faults(repository, state))
    if faults or state.commit is None:
        return _skip_for_faults(required, faults)
    return ReadyToRegister(state.commit, state.branch, repository.read_identity())


def _readiness_faults(repository: Repository, state: WorkTreeState) -> Iterator[Fault]:
    if state.commit is None:
        yield Fault("nothing is committed yet", hint="git add . && git commit")
    elif state.changed:
        yield Fault(_count_uncommitted(state.changed), hint=_name_changed_files(state.changed))
    for path, why in state.submodules.items():
        hint = f"{submodules.SET_UP}; or commit in {path}, and then git add {path}"
        yield Fault(f"the submodule {path} is not as it is committed: {why}", hint=hint)
    if repository.is_shallow():
        yield Fault("a shallow clone lacks the versions before", hint=WHOLE)
    try:
        repository.read_identity()
    except UserError as unknown:
        yield from unknown.faults


def _skip_for_faults(required: bool, faults: list[Fault]) -> RegistrationSkipped:
    if required:
        raise UserError(*(Fault(f"cannot register: {f.what}", f.place, f.hint) for f in faults))
    return RegistrationSkipped("; ".join(fault.what for fault in faults), tuple(faults))


def _count_uncommitted(changed: tuple[str, ...]) -> str:
    return "1 file not committed" if len(changed) == 1 else f"{len(changed)} files not committed"


def _name_changed_files(changed: tuple[str, ...]) -> str:
    more = len(changed) - MOST_NAMED
    shown = [path.encode("utf-8", "backslashreplace").decode() for path in changed[:MOST_NAMED]]
    return ", ".join([*shown, *([f"and {more} more"] if more > 0 else [])])
