"""A second ref for every tag that no remote has yet: ``refs/towpath/versions/<tag>``.

``fetch.pruneTags`` lets a plain ``git fetch`` delete each tag that the remote does not have, and a
version that was numbered before there was a remote would be gone, its number free again. What lies
outside ``refs/tags`` is left alone. The second ref goes when the remote has the tag.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from towpath.backends.git import Ref, Repository, refs, remotes

KEPT = "refs/towpath/versions/"
_TAGS = "refs/tags/"
FEW = 100
"""Git holds each ref against each name that is asked for: of more names, all refs are listed."""


def backup_of(tag: str) -> str:
    """The second ref of a tag's ref."""
    return KEPT + tag.removeprefix(_TAGS)


def read_backed_up_tags(repository: Repository, *patterns: str) -> dict[str, str]:
    """The tags (``refs/tags/...``) that are not known to be on a remote, with their objects."""
    backups = refs.list_ref_objects(repository, *(patterns or (KEPT.rstrip("/"),)))
    return {_tag_of_backup(name): object_ for name, object_ in backups.items()}


def find_pruned_tags(repository: Repository, present: Iterable[Ref], *patterns: str) -> list[Ref]:
    """Tags that were pruned, as if they were in ``refs/tags``; ``present`` are those that are.

    Without a remote nothing prunes: who deleted such a tag meant to.
    """
    kept_tags = read_backed_up_tags(repository, *patterns)
    missing = kept_tags.keys() - {ref.name for ref in present} if kept_tags else ()
    if not missing or not remotes.list_remotes(repository):
        return []
    patterns_asked = map(backup_of, missing) if len(missing) <= FEW else (KEPT.rstrip("/"),)
    backups = (
        ref._replace(name=_tag_of_backup(ref.name))
        for ref in refs.list_refs(repository, *patterns_asked)
    )
    return [ref for ref in backups if ref.name in missing]


def restore_pruned_tags(repository: Repository) -> tuple[str, ...]:
    """Make the tags again that were pruned; which those are. Without a remote a tag that is gone
    was taken away, and its second ref goes after it.

    Called under the registry's lock, before anything is numbered or published.
    """
    kept_tags = read_backed_up_tags(repository)
    if not kept_tags:
        return ()
    present = set(
        refs.list_ref_names(
            repository, *(kept_tags if len(kept_tags) <= FEW else (_TAGS.rstrip("/"),))
        )
    )
    missing = {name: object_ for name, object_ in kept_tags.items() if name not in present}
    if missing and not remotes.list_remotes(repository):
        refs.change_refs(repository, delete=[backup_of(name) for name in missing])
        return ()
    restored = [
        name for name, object_ in missing.items() if refs.change_refs(repository, {name: object_})
    ]
    return tuple(name.removeprefix(_TAGS) for name in restored)


def release_backups(repository: Repository, published: Collection[str]) -> None:
    """Drop the second refs of tags that a remote has; another's under that name counts, too."""
    released = [backup_of(tag) for tag in read_backed_up_tags(repository) if tag in published]
    if released:
        refs.change_refs(repository, delete=released)


def only_here(repository: Repository) -> tuple[str, ...]:
    """The versions and rejections that no remote is known to have; none where there is no remote
    that could."""
    if not remotes.list_remotes(repository):
        return ()
    return tuple(sorted(tag.removeprefix(_TAGS) for tag in read_backed_up_tags(repository)))


def _tag_of_backup(backup: str) -> str:
    return _TAGS + backup.removeprefix(KEPT)
