"""`towpath models`, `show`, `compare`, `search`, `transform`, `reject`: the versions there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import structs

from towpath.backends.git import Repository, remotes
from towpath.cli.render import terminal
from towpath.cli.render.json_document import print_json
from towpath.cli.render.terminal import Cell, Styled
from towpath.cli.session import (
    Session,
    WholeNumber,
    json_option,
    pass_session,
    refuse_without,
    tags_age_words,
)
from towpath.config.foreign_values import format_second
from towpath.errors import Fault, UsageError
from towpath.quantities import readable_size

if TYPE_CHECKING:
    from towpath.backends.git.signatures import SignedBy
    from towpath.registry import Model, ModelVersion, StageFiles, VersionLineage, VersionRecord
    from towpath.registry.version_record import KeptFile


_MOST_METRICS = 4
_SIGNED = {
    "good": "by {who} ({key})",
    "unknown": "by a key that registry/allowed_signers of main, as far as this clone knows it, "
    "does not name ({key})",
    "bad": "the signature does not hold: towpath verify --signatures",
    "foreign": "with OpenPGP or X.509; git verify-tag holds it against your own keyring",
}


@click.command()
@click.argument("model", required=False)
@json_option
@pass_session
def models(session: Session, model: str | None, as_json: bool) -> None:
    """List every version (of MODEL), its metrics, and the stages that should run it."""
    from towpath import registry
    from towpath.registry.registry_state import list_lost_tags

    repository = session.workspace.registry
    by_name: Mapping[str, Model] = (
        {model: registry.known_model(repository, model)}
        if model
        else registry.read_models(repository)
    )
    versions = [version for held in by_name.values() for version in held.newest_first]
    stages = registry.read_stage_files(repository)
    lost_tags = list_lost_tags(repository, by_name.values())
    _say_lost_tags(session, lost_tags)
    if as_json:
        return print_json("models", _list_summaries(versions, stages))
    is_lost = _tell_lost(session, repository, model, by_name, stages)
    if any((is_lost, lost_tags, versions)):
        metrics = list(dict.fromkeys(name for v in versions for name in v.metrics))[:_MOST_METRICS]
        facts = [(v, [v.metrics.get(name) for name in metrics]) for v in versions]
        _print_versions(metrics, facts, stages)
        _say_unpublished(session, repository, set(by_name))
        return _say_freshness(session, repository)
    note = _missing_versions_note(session)
    none = "no model is registered here; `towpath run` registers one"
    return session.say(f"no model is known here{note}" if note else none)


def _say_lost_tags(session: Session, lost_tags: Iterable[Fault]) -> None:
    for fault in lost_tags:
        session.say(str(fault))


def _list_summaries(
    versions: Iterable[ModelVersion], stages: StageFiles
) -> list[Mapping[str, Any]]:
    from towpath.registry import summarise_version

    # Their fields as they are: `asdict` copies each table of ten thousand.
    return [structs.asdict(summarise_version(version, stages)) for version in versions]


def _print_versions(
    columns: Sequence[str], versions: Iterable[tuple[ModelVersion, Sequence[object]]],
    stages: StageFiles,
) -> None:  # fmt: skip
    rows = [_version_row(version, stages, facts) for version, facts in versions]
    terminal.show_table(("version", *columns, "stages", "registered", "by"), rows, right=columns)


def _version_row(version: ModelVersion, stages: StageFiles, facts: Sequence[object]) -> list[Cell]:
    """A version in a table: its name, facts of it, where it stands, when and by whom."""
    shown = Styled(str(version), "bold" if version.rejected is None else "dim strike")
    numbers = [terminal.readable_number(fact) for fact in facts]
    author = version.tag.tagger.partition(" <")[0]
    return [shown, *numbers, _shown_stages(version, stages), format_second(version.time), author]


def _shown_stages(version: ModelVersion, stages: StageFiles) -> str:
    where = " ".join(stages.stages_of(version.model, version.version))
    if version.rejected is not None:
        return f"{where}{', and ' if where else ''}rejected: {version.rejected}"
    if version.version is None:
        return "waits for its number (towpath push)"
    return where or "—"


def _tell_lost(
    session: Session, repository: Repository, model: str | None,
    models_by_name: Mapping[str, Model], stages: StageFiles,
) -> bool:  # fmt: skip
    """Say which versions stages should run that have no tag here: the table lacks them."""
    from towpath.registry.registry_state import way_to_have

    if remotes.explain_missing_tags(repository):
        return False  # a clone without tags says so by itself
    is_lost = False
    for file in stages.wanted:
        held = models_by_name.get(file.model)
        if model not in (None, file.model) or (held and held.find_number(file.version)):
            continue
        is_lost, name = True, f"{file.model}@{file.version}"
        if held and name in held.lost:  # which is said already
            continue
        what = f"{file.stage} should run {name}, which has no tag here"
        session.say(f"{what}: {way_to_have(repository, name)}")
    return is_lost


def _missing_versions_note(session: Session) -> str:
    # Of a shared registry Towpath keeps a clone of its own, with all of its tags.
    shared = session.workspace.shared_registry
    missing = None if shared else remotes.explain_missing_tags(session.workspace.registry)
    return f": {missing}; `towpath fetch` brings the registry's tags" if missing else ""


def _say_unpublished(session: Session, repository: Repository, models: set[str]) -> None:
    from towpath import registry

    # Another clone does not see them, and they lie on one disk.
    mine = [tag for tag in registry.only_here(repository) if tag.partition("@")[0] in models]
    if mine:
        more = f" and {len(mine) - 3} more" if mine[3:] else ""
        session.say()
        session.say(f"only here: {', '.join(mine[:3])}{more}; `towpath push` publishes them")


def _say_freshness(session: Session, repository: Repository) -> None:
    """How old this clone's view of the registry is; nothing without a remote."""
    if address := session.workspace.shared_registry:
        from towpath.registry import shared_registry

        words = shared_registry.explain_staleness(repository, address)
    elif missing := remotes.explain_missing_tags(repository):
        words = f"{missing}; `towpath fetch` brings all of the registry's tags"
    else:
        words = tags_age_words(repository)
    if words:
        session.say()
        session.say(words)


@click.command()
@click.argument("reference", metavar="MODEL@V|MODEL#STAGE|RUN")
@json_option
@pass_session
def show(session: Session, reference: str, as_json: bool) -> None:
    """Show a version, named as abalone@v1.0.0, abalone@latest or abalone#prod; or a run, named by
    `last`, its name, or a part of it."""
    from towpath import registry

    if "@" not in reference and "#" not in reference:  # a run's name holds neither
        from towpath.execution import run_folders

        run_names = run_folders.list_run_names(session.workspace.runs)
        # A model's name alone is no run's: it is told how a version is named.
        if reference == "last" or any(reference in name for name in run_names):
            return _show_run(session, reference, as_json)
    repository = session.workspace.registry
    version_lineage = registry.read_version_lineage(repository, reference)
    signed = registry.signature_of(repository, version_lineage.version)
    if as_json:
        return print_json("version", _version_document(version_lineage, signed))
    _print_version(version_lineage, signed)
    if str(version_lineage.version) in registry.only_here(repository):
        session.say()
        session.say("only here: `towpath push` publishes it")
    return None


def _show_run(session: Session, word: str, as_json: bool) -> None:
    from towpath.cli.render.run_views import print_run_card, write_run_document
    from towpath.execution import run_folders

    run = run_folders.find_run(session.workspace.runs, word)
    if as_json:
        return print_json("run", write_run_document(run))
    return print_run_card(run)


def _version_document(lineage: VersionLineage, signed: SignedBy) -> dict[str, Any]:
    record = lineage.record
    # Its record as it was written, and beside it what became of it afterwards.
    return {
        **structs.asdict(record),
        "version": str(record.version) if record.version else None,
        "before": str(lineage.before) if lineage.before else None,
        "stages": lineage.stages,
        "commit": lineage.version.commit,
        "rejected": lineage.version.rejected,
        "rejected_by": lineage.version.rejected_by or None,
        "signature": signed,
    }


def _print_version(lineage: VersionLineage, signed: SignedBy) -> None:
    record = lineage.record
    terminal.echo(Styled(str(lineage.version), "bold"))
    if lineage.version.rejected is not None:
        by = f" (by {lineage.version.rejected_by})" if lineage.version.rejected_by else ""
        terminal.echo(Styled(f"rejected: {lineage.version.rejected}{by}", "red"))
    if record.description:
        terminal.echo_block(record.description.replace("\n", "\n  "))
    reason = ""
    if bump := record.bump:
        before = f", {bump.level} over {lineage.before.version}" if lineage.before else ""
        reason = f"  ({bump.reason}{before})"
    by = f"{record.author}, {record.time}{reason}"
    registered = {"by": by, "stages": ", ".join(lineage.stages) or "—"}
    if signed.standing != "unsigned":
        registered["signed"] = _SIGNED[signed.standing].format(who=signed.who, key=signed.key)
    terminal.print_section("registered", registered)
    terminal.print_section("model", _model_rows(record))
    beside = {name: _kept_words(kept) for name, kept in record.beside.items()}
    terminal.print_section("beside", beside)
    terminal.print_section("metrics", record.metrics)
    terminal.print_section("parameters", record.parameters)
    absent = {name: f"none: {s.absent}" for name, s in record.sources.items() if s.absent}
    data = {name: _input_origin(record, name) for name in record.data}
    terminal.print_section("data", data | absent)
    where = {"repository": record.code.repository} if record.code.repository else {}
    pipeline_run = f"{record.pipeline}, run {record.run}"
    code = {**where, "commit": record.code.commit, "pipeline": pipeline_run}
    terminal.print_section("code", code)
    terminal.print_section("labels", record.labels)
    _print_signature(record)


def _input_origin(record: VersionRecord, name: str) -> str:
    digest, source = record.data[name], record.sources.get(name)
    where = (source.version or source.pointer or source.path) if source else None
    if source and source.output:
        where = f"{source.output} of {source.version or f'run {source.run}'}"
    return f"{terminal.brief_value(digest)}, {where}" if where else digest


def _kept_words(kept: KeptFile) -> str:
    artifact = kept.artifact
    size, sha256 = readable_size(artifact.size), terminal.brief_value(kept.sha256)
    return f"{artifact.name}, {size}, sha256 {sha256}"


def _model_rows(record: VersionRecord) -> dict[str, str]:
    return {
        "file": f"{record.path}, {readable_size(record.artifact.size)}",
        "md5": record.artifact.digest,
        "sha256": record.sha256,
        "python": str(record.python),
        **({"needs": f"trust: [{', '.join(record.needs)}]"} if record.needs else {}),
    }


def _print_signature(record: VersionRecord) -> None:
    if record.signature is None:
        return
    from towpath.registry.version_record import matrix_of

    sides = {"takes": record.signature.inputs, "gives": record.signature.outputs}
    listed = [(side, columns) for side, columns in sides.items() if columns]
    shown = {side: ", ".join(f"{c.name} {c.type}" for c in columns) for side, columns in listed}
    if matrix := matrix_of(record.signature):
        shown = {"takes": matrix, **shown}
    terminal.print_section("signature", shown)


@click.command()
@click.argument("references", nargs=-1, required=True)
@click.option("--all", "everything", is_flag=True, help="Also what does not differ.")
@click.option(
    "--plots", is_flag=True, help="Write a page with their curves; runs may be named too."
)
@click.option(
    "-o", "--file", "to", type=click.Path(), metavar="FILE",
    help="Where the page goes (default: comparison.html here).",
)  # fmt: skip
@json_option
@pass_session
def compare(
    session: Session, references: tuple[str, ...], everything: bool, plots: bool, to: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Lay two or more versions side by side: what differs between them."""
    from towpath import registry

    if len(references) < 2:
        hint = f"`towpath show {references[0]}` tells of one"
        raise UsageError("a version is compared with another: name two or more", hint=hint)
    if plots:
        from towpath.cli.record_commands import place_page
        from towpath.reports.version_report import compare_runs_page

        page = compare_runs_page(session.workspace, references)
        return place_page(session, page, to or "comparison.html", as_json)
    refuse_without("--plots", {"--file": to})
    comparison = registry.compare_versions(session.workspace.registry, references)
    rows = [row for row in comparison.rows if everything or row.is_different]
    versions = [str(version) for version in comparison.versions]
    if as_json:
        row_documents = [{"section": r.section, "name": r.name, "values": r.values} for r in rows]
        return print_json("comparison", {"versions": versions, "rows": row_documents})
    if not rows:
        return session.say("nothing differs; with --all, all that they have")
    shown = [(r.section, r.name, *terminal.side_by_side(r.values)) for r in rows]
    return terminal.show_table(("", "name", *versions), shown)


@click.command()
@click.argument("reference")
@click.option("--reason", required=True, help="Why.")
@pass_session
def reject(session: Session, reference: str, reason: str) -> None:
    """Mark a version as bad, or put a promotion away (by its branch or pull request's number).

    A rejected version stays where it is, and `@latest` passes over it.
    """
    # A branch or a pull request's number (`12`, `#12`) holds neither sign of a version.
    if "@" not in reference and "#" not in reference.lstrip("#"):
        from towpath.delivery import promotion

        put_away = promotion.reject_promotion(session.workspace, reference, reason)
        where = f" ({put_away.url})" if put_away.url else ""
        return session.say(f"rejected {put_away.branch}{where}: {put_away.reason}")
    from towpath import registry

    rejected = registry.reject_version(session.workspace.registry, reference, reason)
    return session.say(f"rejected {rejected}: {reason}")


@click.command()
@click.argument("expression")
@click.option("--sort", metavar="FACT", help="Order by a fact; `--sort=-mse`: the highest first.")
@click.option("-n", "--limit", type=WholeNumber(1, example="20"), help="At most so many.")
@json_option
@pass_session
def search(
    session: Session, expression: str, sort: str | None, limit: int | None, as_json: bool
) -> None:
    """Find versions of any model: `metrics.mse < 5 and stage == "prod"`.

    Facts: metrics.NAME, params.NAME, labels.NAME, data.NAME (the name alone where it is clear),
    model, version, stage, author, time, rejected, pipeline, run, kind, size, code, bump.
    """
    from towpath.audit.version_search import search_versions

    hits = search_versions(session.workspace.registry, expression, sort, limit)
    _say_lost_tags(session, hits.lost)
    if as_json:
        return print_json("versions", _list_summaries(hits.found, hits.stages))
    if not hits.found:
        return session.say(f"none of {hits.searched} versions{_missing_versions_note(session)}")
    columns = [name.removeprefix("metrics.") for name in hits.columns]
    _print_versions(columns, zip(hits.found, hits.values, strict=True), hits.stages)
    left = f", {len(hits.found)} shown" if len(hits.found) < hits.total else ""
    session.say()
    return session.say(f"{hits.total} of {hits.searched} versions{left}")


@click.command()
@click.argument("reference")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The file of scored rows: .parquet, .csv or .tsv.",
)
@click.option("--stage", help="Take the bytes from this stage's store and from nowhere else.")
@click.option(
    "--method",
    type=click.Choice(["predict", "predict_proba"]),
    default="predict",
    help="What the model is asked for (default: predict).",
)
@click.option(
    "--batch-size", type=WholeNumber(1, example="10000"), help="Rows in memory at a time."
)
@json_option
@pass_session
def transform(
    session: Session, reference: str, data: Path, output: Path, stage: str | None,
    method: str, batch_size: int | None, as_json: bool,
) -> None:  # fmt: skip
    """Score the table DATA with the model REFERENCE (abalone#prod, abalone@v1.0.0).

    The model's bytes come from the stage's own store, and are held against the version's record
    before anything is read from them.
    """
    from towpath.versions import table_scoring

    folder = session.working_folder
    scoring_request = table_scoring.TransformRequest(
        reference, folder / data, folder / output, stage, method=method, batch_size=batch_size
    )
    scored = table_scoring.transform_table(session.workspace, scoring_request)
    if scored.rejected is not None:  # whatever was asked for: nobody should read past it
        terminal.echo(f"warning: {scored.version} was rejected: {scored.rejected}", err=True)
    for words in scored.packages:
        terminal.echo(f"note: {words}", err=True)
    if as_json:
        return print_json("transform", scored)
    return session.say(f"{scored.rows:,} rows scored with {scored.version} from {scored.source}")
