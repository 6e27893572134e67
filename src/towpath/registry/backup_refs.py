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


def kept(repository: Repository, *patterns: str) -> dict[str, str]:
    """The tags (``refs/tags/...``) that are not known to be on a remote, with their objects."""
    found = refs.objects(repository, *(patterns or (KEPT.rstrip("/"),)))
    return {_tag(name): object_ for name, object_ in found.items()}


def lost(repository: Repository, here: Iterable[Ref], *patterns: str) -> list[Ref]:
    """Tags that were pruned, as if they were in ``refs/tags``; ``here`` are those that are.

    Without a remote nothing prunes: who deleted such a tag meant to.
    """
    known = kept(repository, *patterns)
    missing = known.keys() - {ref.name for ref in here} if known else ()
    if not missing or not remotes.remotes(repository):
        return []
    asked = map(backup_of, missing) if len(missing) <= FEW else (KEPT.rstrip("/"),)
    found = (ref._replace(name=_tag(ref.name)) for ref in refs.listed(repository, *asked))
    return [ref for ref in found if ref.name in missing]


def restore(repository: Repository) -> tuple[str, ...]:
    """Make the tags again that were pruned; which those are. Without a remote a tag that is gone
    was taken away, and its second ref goes after it.

    Called under the registry's lock, before anything is numbered or published.
    """
    known = kept(repository)
    if not known:
        return ()
    here = set(refs.names(repository, *(known if len(known) <= FEW else (_TAGS.rstrip("/"),))))
    missing = {name: object_ for name, object_ in known.items() if name not in here}
    if missing and not remotes.remotes(repository):
        refs.change(repository, delete=[backup_of(name) for name in missing])
        return ()
    made = [name for name, object_ in missing.items() if refs.change(repository, {name: object_})]
    return tuple(name.removeprefix(_TAGS) for name in made)


def release(repository: Repository, published: Collection[str]) -> None:
    """Drop the second refs of tags that a remote has; another's under that name counts, too."""
    done = [backup_of(tag) for tag in kept(repository) if tag in published]
    if done:
        refs.change(repository, delete=done)


def only_here(repository: Repository) -> tuple[str, ...]:
    """The versions and rejections that no remote is known to have; none where there is no remote
    that could."""
    if not remotes.remotes(repository):
        return ()
    return tuple(sorted(tag.removeprefix(_TAGS) for tag in kept(repository)))


def _tag(backup: str) -> str:
    return _TAGS + backup.removeprefix(KEPT)
