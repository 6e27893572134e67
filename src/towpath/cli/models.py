"""`towpath models`, `towpath show` and `towpath compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from towpath.cli.render import terminal
from towpath.cli.render.terminal import Styled
from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from towpath.backends.git import Repository
    from towpath.backends.git.signatures import SignedBy
    from towpath.cli.render.terminal import Cell
    from towpath.registry import Lineage, Model, ModelVersion, Record, Stages

_MOST_METRICS = 4
_SIGNED = {
    "good": "by {who} ({key})",
    "unknown": "by a key that registry/allowed_signers of main does not name ({key})",
    "bad": "the signature does not hold: towpath verify --signatures",
    "foreign": "with OpenPGP or X.509; git verify-tag holds it against your own keyring",
}
_END = 253402300799  # 9999-12-31T23:59:59Z


@click.command()
@click.argument("model", required=False)
@json_option
@pass_session
def models(session: Session, model: str | None, as_json: bool) -> None:
    """List every version (of MODEL), its metrics, and the stages that should run it."""
    from towpath import registry

    repository = session.workspace.registry
    found = (
        {model: registry.known_model(repository, model)} if model else registry.models(repository)
    )
    stages = registry.stages(repository)
    if as_json:
        return print_json(
            "models", [plain(v, stages) for m in found.values() for v in _versions(m)]
        )
    is_lost = _tell_lost(session, repository, model, found, stages)
    if is_lost or any(_versions(one) for one in found.values()):
        _table(found, stages)
        _unpublished(session, repository, set(found))
        return _freshness(session, repository)
    return session.say(_nothing(session, repository))


def _versions(model: Model) -> list[ModelVersion]:
    return [*model.candidates, *reversed(model.versions)]


def plain(version: ModelVersion, stages: Stages) -> dict[str, Any]:
    """A version as ``--json`` says it."""
    return {
        "model": version.model,
        "version": str(version.version) if version.version else None,
        "key": version.key,
        "time": _time(version),
        "author": version.tag.tagger,
        "metrics": dict(version.metrics),
        "stages": list(stages.of(version.model, version.version)),
        "rejected": version.rejected,
        "commit": version.commit,
    }


def _time(version: ModelVersion) -> str:
    moment = min(version.time, _END)  # a hand can date a tag beyond what a calendar has
    return datetime.fromtimestamp(moment, UTC).isoformat()[:19] + "Z"


def _table(found: Any, stages: Stages) -> None:
    versions = [v for model in found.values() for v in _versions(model)]
    metrics = list(dict.fromkeys(name for v in versions for name in v.metrics))[:_MOST_METRICS]
    rows = [row(v, stages, [v.metrics.get(name) for name in metrics]) for v in versions]
    return terminal.show(("version", *metrics, "stages", "registered", "by"), rows, right=metrics)


def row(version: ModelVersion, stages: Stages, facts: Sequence[object]) -> list[Cell]:
    """A version in a table: its name, facts of it, where it stands, when and by whom."""
    shown = Styled(str(version), "bold" if version.rejected is None else "dim strike")
    numbers = [terminal.number(fact) for fact in facts]
    author = version.tag.tagger.partition(" <")[0]
    return [shown, *numbers, _state(version, stages), _time(version), author]


def _state(version: ModelVersion, stages: Stages) -> str:
    where = " ".join(stages.of(version.model, version.version))
    if version.rejected is not None:
        return (
            f"{where}, and rejected: {version.rejected}"
            if where
            else f"rejected: {version.rejected}"
        )
    if version.version is None:
        return "waits for its number (towpath push)"
    return where or "—"


def _tell_lost(
    session: Session,
    repository: Repository,
    asked: str | None,
    found: Mapping[str, Model],
    stages: Stages,
) -> bool:
    """Say which versions stages should run that have no tag here: the table lacks them."""
    from towpath.backends.git import remotes
    from towpath.registry.registry_state import way_to_have

    if remotes.view(repository):
        return False  # a clone without tags says so by itself
    lost = [
        one
        for one in stages.wanted
        if asked in (None, one.model)
        and (one.model not in found or found[one.model].at(one.version) is None)
    ]
    for one in lost:
        name = f"{one.model}@{one.version}"
        what = f"{one.stage} should run {name}, which has no tag here"
        session.say(f"{what}: {way_to_have(repository, name)}")
    return bool(lost)


def _nothing(session: Session, repository: Repository) -> str:
    """Why there is no version: none was made, or this clone does not have them."""
    from towpath.backends.git import remotes

    missing = None if session.workspace.shared_registry else remotes.view(repository)
    if missing:
        return f"no model is known here: {missing}; `towpath fetch` brings the registry's tags"
    return "no model is registered here; `towpath run` registers one"


def _unpublished(session: Session, repository: Repository, models: set[str]) -> None:
    """Which versions no remote has: another clone does not see them, and they lie on one disk."""
    from towpath import registry

    mine = [tag for tag in registry.only_here(repository) if tag.partition("@")[0] in models]
    if mine:
        more = f" and {len(mine) - 3} more" if mine[3:] else ""
        session.say()
        session.say(f"only here: {', '.join(mine[:3])}{more}; `towpath push` publishes them")


def _freshness(session: Session, repository: Repository) -> None:
    """How old this clone's view of the registry is; nothing without a remote."""
    from towpath.backends.git import remotes

    if address := session.workspace.shared_registry:
        from towpath.registry import shared_registry

        if word := shared_registry.staleness(repository, address):
            session.say()
            session.say(word)
        return
    if missing := remotes.view(repository):
        session.say()
        session.say(f"{missing}; `towpath fetch` brings all of the registry's tags")
        return
    age = remotes.age(repository) if remotes.remotes(repository) else None
    if age is not None and age > 3600:
        session.say()
        session.say(f"as of {age / 3600:.0f} hours ago; `towpath fetch` brings what is new")


@click.command()
@click.argument("reference")
@json_option
@pass_session
def show(session: Session, reference: str, as_json: bool) -> None:
    """Show a version, named as abalone@v1.0.0, abalone@latest or abalone#prod."""
    from towpath import registry

    repository = session.workspace.registry
    found = registry.lineage(repository, reference)
    signed = registry.signature_of(repository, found.version)
    if as_json:
        standing = {**_plain_standing(found), "signature": signed}
        return print_json("version", {**_plain_record(found.record), **standing})
    _say(found, signed)
    if str(found.version) in registry.only_here(repository):
        session.say()
        session.say("only here: `towpath push` publishes it")
    return None


def _plain_standing(found: Lineage) -> dict[str, Any]:
    """What became of a version after its record was written."""
    return {
        "stages": found.stages,
        "commit": found.version.commit,
        "rejected": found.version.rejected,
        "rejected_by": found.version.rejected_by or None,
    }


def _plain_record(record: Record) -> dict[str, Any]:
    from dataclasses import asdict

    plain = asdict(record)
    return {**plain, "version": str(record.version) if record.version else None}


def _say(found: Lineage, signed: SignedBy) -> None:
    record = found.record
    terminal.echo(Styled(str(found.version), "bold"))
    if found.version.rejected is not None:
        by = f" (by {found.version.rejected_by})" if found.version.rejected_by else ""
        terminal.echo(Styled(f"rejected: {found.version.rejected}{by}", "red"))
    if record.description:
        terminal.echo_block(record.description.replace("\n", "\n  "))
    before = (
        f", {record.bump.level} over {found.before.version}" if found.before and record.bump else ""
    )
    reason = f"  ({record.bump.reason}{before})" if record.bump else ""
    section(
        "registered",
        {
            "by": f"{record.author}, {record.time}{reason}",
            "stages": ", ".join(found.stages) or "—",
            **_signed(signed),
        },
    )
    section("model", _model(record))
    section("metrics", record.metrics)
    section("parameters", record.parameters)
    section("data", {name: _data(record, name) for name in record.data})
    section("code", _code(record))
    section("labels", record.labels)
    _columns(record)


def _signed(signed: SignedBy) -> dict[str, str]:
    if signed.standing == "unsigned":
        return {}
    return {"signed": _SIGNED[signed.standing].format(who=signed.who, key=signed.key)}


def _data(record: Record, name: str) -> str:
    """The digest of an input, and where the run read it, as far as the record says."""
    digest, source = record.data[name], record.sources.get(name)
    where = (source.version or source.pointer or source.path) if source else None
    return f"{terminal.brief(digest)}, {where}" if where else digest


def _code(record: Record) -> dict[str, str]:
    where = {"repository": record.code.repository} if record.code.repository else {}
    made = f"{record.pipeline}, run {record.run}"
    return {**where, "commit": record.code.commit, "pipeline": made}


def _model(record: Record) -> dict[str, str]:
    return {
        "file": f"{record.path}, {terminal.size(record.artifact.size)}",
        "md5": record.artifact.digest,
        "sha256": record.sha256,
        "python": str(record.python),
        **({"needs": f"trust: [{', '.join(record.needs)}]"} if record.needs else {}),
    }


def section(title: str, pairs: Any) -> None:
    """Pairs below one another, under a title where there is one; nothing where there is none."""
    if not pairs:
        return
    if title:
        terminal.echo()
        terminal.echo(Styled(title, "cyan"))
    width = max(len(name) for name in pairs)
    for name, value in pairs.items():
        terminal.echo(f"  {name.ljust(width)}  {terminal.number(value)}")


def _columns(record: Record) -> None:
    if record.signature is None:
        return
    from towpath.registry.model_signature import matrix_of

    sides = {"takes": record.signature.inputs, "gives": record.signature.outputs}
    said = {
        side: ", ".join(f"{column.name} {column.type}" for column in columns)
        for side, columns in sides.items()
        if columns
    }
    if matrix := matrix_of(record.signature):
        said = {"takes": matrix, **said}
    section("signature", said)


@click.command()
@click.argument("references", nargs=-1, required=True)
@click.option("--all", "everything", is_flag=True, help="Also what does not differ.")
@json_option
@pass_session
def compare(session: Session, references: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Lay two or more versions side by side: what differs between them."""
    from towpath import registry

    found = registry.compare(session.workspace.registry, references)
    rows = [row for row in found.rows if everything or row.differs]
    if as_json:
        said = [{"section": r.section, "name": r.name, "values": r.values} for r in rows]
        return print_json(
            "comparison", {"versions": [str(v) for v in found.versions], "rows": said}
        )
    shown = [(r.section, r.name, *terminal.side_by_side(r.values)) for r in rows]
    return terminal.show(("", "name", *(str(v) for v in found.versions)), shown)


@click.command()
@click.argument("reference")
@click.option("--reason", required=True, help="Why.")
@pass_session
def reject(session: Session, reference: str, reason: str) -> None:
    """Mark a version as bad, or put a promotion away (by its branch or pull request's number).

    A rejected version stays where it is, and `@latest` passes over it.
    """
    if "@" not in reference and "#" not in reference.lstrip("#"):
        from towpath.cli.render import promotion_views
        from towpath.delivery import promotion

        return promotion_views.put_away(
            session, promotion.refuse(session.workspace, reference, reason)
        )
    from towpath import registry

    rejected = registry.reject(session.workspace.registry, reference, reason)
    return session.say(f"rejected {rejected}: {reason}")
