"""What only this clone has, and which of Git's settings here could take it away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from towpath.backends.git import Repository, refs
from towpath.doctor.health_check import Check, lacks
from towpath.registry import backup_refs
from towpath.registry.registry_state import CANDIDATES, TAGS
from towpath.registry.version_reference import TagName, parse_tag

_TRUE = ("true", "yes", "on", "1", "")


def check(repository: Repository, remote: str, there: Mapping[str, str]) -> Iterator[Check]:
    """Versions, rejections and candidates that the remote does not have; ``there`` are its tags."""
    yield from _tags(repository, remote, there)
    waiting = refs.names(repository, CANDIDATES.rstrip("/"))
    if waiting:
        said = f"{_counted(len(waiting), 'candidate')} waits here for a number"
        yield Check("remote", "unknown", said, "towpath push")
    yield from _settings(repository, remote)


def _tags(repository: Repository, remote: str, there: Mapping[str, str]) -> Iterator[Check]:
    here = refs.objects(repository, TAGS.rstrip("/"))
    known = {
        name: parse_tag(name.removeprefix(TAGS)) for name in here | backup_refs.kept(repository)
    }
    mine = [tag for name, tag in known.items() if tag and tag.version and name not in there]
    if mine:
        said = f"{_both(mine)} only here, and not on {remote}"
        yield lacks("remote", said, "towpath push")


def _both(tags: list[TagName]) -> str:
    rejections = sum(tag.undone for tag in tags)
    counts = {"version": len(tags) - rejections, "rejection": rejections}
    words = [_counted(count, what) for what, count in counts.items() if count]
    return f"{' and '.join(words)} {'is' if len(tags) == 1 else 'are'}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _settings(repository: Repository, remote: str) -> Iterator[Check]:
    """Settings by which a plain ``git fetch`` deletes what only this clone has."""
    for key in ("fetch.pruneTags", f"remote.{remote}.pruneTags"):
        value = repository.attempt("config", "--get", key)
        if value.code == 0 and value.text.lower() in _TRUE:
            said = f"`git fetch` here deletes tags that {remote} does not have ({key})"
            hint = f"git config {key} false; versions come back with towpath fetch"
            yield Check("remote", "unknown", said, hint)
    specs = repository.attempt("config", "--get-all", f"remote.{remote}.fetch").text.split("\n")
    for spec in specs:
        if spec.endswith(":refs/*"):
            said = f"`git fetch --prune` here deletes what waits for its number ({spec})"
            usual = f"'+refs/heads/*:refs/remotes/{remote}/*'"
            hint = f"git config --replace-all remote.{remote}.fetch {usual} ':refs/\\*$'"
            yield Check("remote", "unknown", said, hint)
