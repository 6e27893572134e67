"""Whose a model's name is in a registry that several repositories share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.errors import DeclarationError, Fault, RegistryError, UsageError
from towpath.git import Repository, clones, mainline, refs
from towpath.registry import policy

if TYPE_CHECKING:
    from towpath.registry.reading import Model
    from towpath.registry.record import Record


def check(repository: Repository, known: Model, draft: Record) -> None:
    """Raise ``UsageError`` where another repository's code makes the model of that name.

    A name belongs to the repository that registered it last, or to those that ``owners`` in the
    registry's ``towpath.yaml`` names. In a project's own registry every name is its own.
    """
    mine = draft.code.repository
    if mine is None:
        return
    named = _named(repository, draft.model)
    if named and not any(clones.same(one, mine) for one in named):
        raise UsageError(
            _taken(draft.model, ", ".join(named)), hint=_hint(draft.model, *named, mine)
        )
    last = known.versions[-1] if known.versions else None
    if named or last is None:
        return
    theirs = last.summary.get("repository")
    if not isinstance(theirs, str) or not clones.same(theirs, mine):
        of = theirs if isinstance(theirs, str) else "the registry itself"
        raise UsageError(_taken(draft.model, of), hint=_hint(draft.model, of, mine))


def _named(repository: Repository, model: str) -> tuple[str, ...]:
    """Who may register a model, by the policy on the main branch; none where it does not say."""
    main = mainline.main(repository)
    if main is None or not refs.contents(repository, [f"{main}:{policy.FILE}"]):
        return ()
    try:
        return tuple(policy.at(repository, main).owners.get(model, ()))
    except DeclarationError as wrong:
        faults = (Fault(f"the shared registry's {fault}") for fault in wrong.faults)
        raise RegistryError(*faults) from wrong


def _taken(model: str, owners: str) -> str:
    return f"`{model}` in this registry is made by {owners}, not by this repository"


def _hint(model: str, *repositories: str) -> str:
    listed = ", ".join(one for one in repositories if " " not in one)
    return (
        "take another name, or write into towpath.yaml of the registry: "
        f"owners: {{{model}: [{listed}]}}"
    )
