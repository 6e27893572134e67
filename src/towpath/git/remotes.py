"""What passes between a repository and its remotes: tags and branches in, single refs out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from towpath.errors import RegistryError, UsageError, did_you_mean
from towpath.git import refs
from towpath.git.command import Outcome
from towpath.git.repository import Repository

# Pruning, which a user may have set, would delete versions that were not pushed yet.
TAKE_ONLY = (
    "--no-tags",
    "--no-prune",
    "--no-prune-tags",
    "--no-recurse-submodules",
    "--no-write-fetch-head",
)


def remotes(repository: Repository) -> tuple[str, ...]:
    """The names of the remotes."""
    return tuple(repository.call("remote").split())


def chosen(repository: Repository, name: str | None = None) -> str | None:
    """The remote that is meant: the one named, else the branch's, else ``origin``, else the first.

    None where there is none; ``UsageError`` where the one named is not there.
    """
    known = remotes(repository)
    if name is not None:
        if name not in known:
            raise UsageError(f"there is no remote `{name}`", hint=did_you_mean(name, known))
        return name
    if len(known) < 2:
        return known[0] if known else None
    branch = repository.attempt("symbolic-ref", "--short", "-q", "HEAD").text
    usual = (repository.setting(f"branch.{branch}.remote") if branch else None, "origin")
    return next((remote for remote in usual if remote in known), known[0])


def push(repository: Repository, remote: str, tags: Mapping[str, str]) -> dict[str, str]:
    """Push objects, by the names that they get on the remote and that must not be there yet.

    Returns the refused names with the remote's words; raises ``RegistryError`` where the remote
    cannot be reached.
    """
    # An empty lease says: only if there is no such ref, also where Git would fast-forward it.
    flags = ("--porcelain", "--no-follow-tags", "--no-recurse-submodules")
    leases = [f"--force-with-lease={ref}:" for ref in tags]
    specs = [f"{object_}:{ref}" for ref, object_ in tags.items()]
    done = repository.attempt("push", *flags, *leases, remote, *specs, alone=True)
    if done.code == 0:
        return {}
    rows = [line.split("\t") for line in done.text.splitlines() if line.count("\t") == 2]
    refused = {row[1].partition(":")[2]: _because(done, row[2]) for row in rows if row[0] == "!"}
    if not refused:
        raise unreachable(remote, done)
    return refused


def push_branch(
    repository: Repository, remote: str, branch: str, commit: str, over: str | None
) -> str | None:
    """Push a branch if the remote's is still at ``over`` (None: not there); why it was refused.

    Raises ``RegistryError`` where the remote cannot be reached.
    """
    ref = f"refs/heads/{branch}"
    flags = ("--porcelain", "--no-follow-tags", "--no-recurse-submodules")
    lease = f"--force-with-lease={ref}:{over or ''}"
    done = repository.attempt("push", *flags, lease, remote, f"{commit}:{ref}", alone=True)
    if done.code == 0:
        return None
    rows = [line.split("\t") for line in done.text.splitlines() if line.count("\t") == 2]
    refused = next((row[2] for row in rows if row[0] == "!"), None)
    if refused is None:
        raise unreachable(remote, done)
    return _because(done, refused)


def delete_branch(repository: Repository, remote: str, branch: str, at: str) -> bool:
    """Delete a remote's branch if it is still at a commit; whether that was done."""
    ref = f"refs/heads/{branch}"
    flags = ("--porcelain", "--no-recurse-submodules", f"--force-with-lease={ref}:{at}")
    return repository.attempt("push", *flags, remote, f":{ref}", alone=True).code == 0


def fetch(repository: Repository, remote: str, *specs: str) -> bool:
    """Fetch by refspecs; False where a ref here differs from the remote's and was left alone."""
    done = repository.attempt("fetch", *TAKE_ONLY, remote, *specs, alone=True)
    if done.code == 0:
        return True
    if "[rejected]" in done.err or "would clobber existing tag" in done.err:
        return False
    raise unreachable(remote, done)


def there(repository: Repository, remote: str, *patterns: str) -> dict[str, str]:
    """The refs of a remote and the objects they hold, without what tags point at."""
    done = repository.attempt("ls-remote", "--refs", remote, *patterns, alone=True)
    if done.code:
        raise unreachable(remote, done)
    rows = (line.split("\t") for line in done.text.splitlines())
    return {name: object_ for object_, name in rows}


def unreachable(remote: str, outcome: Outcome) -> RegistryError:
    """Git's own words about a remote that did not answer as it should."""
    hint = f"try: git ls-remote {remote}; what was not pushed waits here"
    return RegistryError(f"{remote} cannot be reached: {outcome.complaint}", hint=hint)


def mark_fetched(repository: Repository) -> None:
    """Remember that all tags were fetched now: a plain ``git pull`` does not bring them."""
    stamp = _stamp(repository)
    stamp.parent.mkdir(exist_ok=True)
    stamp.touch()


def last_fetched(repository: Repository) -> float | None:
    """When all tags were last brought here (seconds since 1970): by a fetch, or by the clone."""
    try:
        return _stamp(repository).stat().st_mtime
    except FileNotFoundError:
        return _cloned(repository.common / "logs" / "HEAD")


def age(repository: Repository) -> float | None:
    """Seconds since all tags were last brought here; None where that never happened."""
    last = last_fetched(repository)
    return None if last is None else max(0.0, time.time() - last)


def is_tagless(repository: Repository) -> bool:
    """Whether the clone was told to leave tags out, and none were fetched by Towpath since."""
    keys = repository.attempt("config", "--get-regexp", r"^remote\..*\.tagopt$").text
    return (
        "--no-tags" in keys
        and not _stamp(repository).exists()
        and not refs.names(repository, "refs/tags")
    )


def _because(done: Outcome, summary: str) -> str:
    remote = [line.removeprefix("remote: ").strip() for line in done.err.splitlines()]
    said = [line for line in remote if line.startswith(("error:", "GH"))]
    return "; ".join([summary, *said])


def _stamp(repository: Repository) -> Path:
    return repository.common / "towpath" / "fetched"


def _cloned(log: Path) -> float | None:
    """When the repository was cloned, from the first line of its head's log."""
    if not log.exists():
        return None
    with log.open(encoding="utf-8", errors="replace") as lines:
        who, _, what = lines.readline().partition("\t")
    return float(who.split()[-2]) if what.startswith("clone:") else None
