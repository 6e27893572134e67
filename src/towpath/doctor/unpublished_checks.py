"""What only this clone has, and which of Git's settings here could take it away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from towpath.backends.git import Repository, refs
from towpath.doctor.health_check import DoctorCheck, report_lack
from towpath.registry import registry_state
from towpath.registry.registry_state import CANDIDATES, TAGS
from towpath.registry.version_reference import TagName, parse_tag

_TRUE = ("true", "yes", "on", "1", "")


def examine_unpublished(
    repository: Repository, remote: str, remote_tags: Mapping[str, str]
) -> Iterator[DoctorCheck]:
    """Versions, rejections and candidates that the remote, which has these tags, does not have."""
    yield from _examine_tags(repository, remote, remote_tags)
    waiting = refs.list_ref_names(repository, CANDIDATES.rstrip("/"))
    if waiting:
        message = f"{_count_in_words(len(waiting), 'candidate')} waits here for a number"
        yield DoctorCheck("remote", "unknown", message, "towpath push")
    yield from _pruning_settings(repository, remote)


def _examine_tags(
    repository: Repository, remote: str, remote_tags: Mapping[str, str]
) -> Iterator[DoctorCheck]:
    local_tags = refs.list_ref_objects(repository, TAGS.rstrip("/"))
    tag_names = {
        name: parse_tag(name.removeprefix(TAGS))
        for name in local_tags | registry_state.read_backed_up_tags(repository)
    }
    mine = [
        tag for name, tag in tag_names.items() if tag and tag.version and name not in remote_tags
    ]
    if mine:
        message = f"{_both_in_words(mine)} only here, and not on {remote}"
        yield report_lack("remote", message, "towpath push")


def _both_in_words(tags: list[TagName]) -> str:
    rejections = sum(tag.undone for tag in tags)
    counts = {"version": len(tags) - rejections, "rejection": rejections}
    words = [_count_in_words(count, what) for what, count in counts.items() if count]
    return f"{' and '.join(words)} {'is' if len(tags) == 1 else 'are'}"


def _count_in_words(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _pruning_settings(repository: Repository, remote: str) -> Iterator[DoctorCheck]:
    """Settings by which a plain ``git fetch`` deletes what only this clone has."""
    for key in ("fetch.pruneTags", f"remote.{remote}.pruneTags"):
        value = repository.attempt_git("config", "--get", key)
        if value.code == 0 and value.text.lower() in _TRUE:
            message = f"`git fetch` here deletes tags that {remote} does not have ({key})"
            hint = f"git config {key} false; versions come back with towpath fetch"
            yield DoctorCheck("remote", "unknown", message, hint)
    specs = repository.attempt_git("config", "--get-all", f"remote.{remote}.fetch").text.split("\n")
    for spec in specs:
        if spec.endswith(":refs/*"):
            message = f"`git fetch --prune` here deletes what waits for its number ({spec})"
            usual = f"'+refs/heads/*:refs/remotes/{remote}/*'"
            hint = f"git config --replace-all remote.{remote}.fetch {usual} ':refs/\\*$'"
            yield DoctorCheck("remote", "unknown", message, hint)
