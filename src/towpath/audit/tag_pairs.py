"""Which promotion each stage tag follows from: a function of the two lists, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from towpath.backends.git.commit_history import parse_trailers
from towpath.registry import Promotion, VersionNumber
from towpath.registry.stage_tags import StageTag


def pair_tags(
    assigned: Iterable[StageTag],
    promotions: Callable[[str, str], Sequence[Promotion]],
    version_on: Callable[[str, str], VersionNumber | None],
) -> Iterator[tuple[StageTag, Promotion | None]]:
    """Each tag, oldest first, with the last promotion before it that asked for its version.

    ``promotions`` gives those of a stage and a model, oldest first, ``version_on`` the version of
    a model that stands on a commit. Tags follow promotions in order: one that goes back behind
    its predecessor's was not written by reconcile, and has none. Two tags may follow one
    promotion, where the first was mended.
    """
    reached: dict[tuple[str, str], int] = {}
    for tag in assigned:
        key = tag.stage, tag.model
        version = None if tag.undone else version_on(tag.model, tag.commit)
        place = _find_place(promotions(*key), tag, version, reached.get(key, 0))
        if place is not None:
            reached[key] = place
        yield tag, None if place is None else promotions(*key)[place]


def _find_place(
    promotions: Sequence[Promotion], tag: StageTag, version: VersionNumber | None, least: int
) -> int | None:
    if version is None and not tag.undone:
        return None
    named = parse_trailers(tag.tag.message).get("promotion")
    fitting = (
        place
        for place in reversed(range(least, len(promotions)))
        if promotions[place].time <= tag.tag.time
        and promotions[place].version == version
        and promotions[place].fault is None
        and (named is None or promotions[place].commit in named)
    )
    return next(fitting, None)
