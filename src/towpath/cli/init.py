"""`towpath init`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from towpath.cli.render import terminal
from towpath.cli.session import Session, json_option, pass_session, print_json

if TYPE_CHECKING:
    from towpath.projects import Addition
    from towpath.projects.pipeline_draft import PipelineDraft


@click.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False))
@click.option(
    "--from", "source", metavar="DVC.YAML", type=click.Path(dir_okay=False),
    help="Draft a pipeline from the stages of a dvc.yaml.",
)  # fmt: skip
@click.option("--pipeline", metavar="NAME", help="What the drafted pipeline is called.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
@pass_session
def init(
    session: Session, folder: str | None, source: str | None, pipeline: str | None, dry_run: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Make a project of FOLDER (default: here), which is in a Git repository.

    Makes what is lacking and adds lines to `.gitignore`, `.gitattributes` and `.dvcignore`; moves
    and overwrites nothing. A second call has nothing to do.
    """
    from towpath import projects
    from towpath.backends import dvc
    from towpath.errors import UsageError

    if pipeline and not source:
        raise UsageError("`--pipeline` names the draft of `--from`", hint="add `--from dvc.yaml`")
    root = projects.find_root(session.working_folder / (folder or "."), named=folder is not None)
    draft = _draft_pipeline(session, root, source, pipeline) if source else None
    additions = projects.plan_additions(root, dvc.missing_store_files(root))
    additions = _with_draft(root, additions, draft) if draft else additions
    if not dry_run:
        projects.apply_additions(root, additions)
    if as_json:
        return print_json("init", _init_document(root, additions, draft, dry_run))
    return _say_additions(session, root, additions, draft, dry_run)


def _draft_pipeline(
    session: Session, root: Path, source: str, pipeline: str | None
) -> PipelineDraft:
    from towpath.projects import pipeline_draft

    return pipeline_draft.draft_pipeline(root, session.working_folder / source, pipeline)


def _with_draft(
    root: Path, additions: tuple[Addition, ...], draft: PipelineDraft
) -> tuple[Addition, ...]:
    """The additions with the draft in the place of an empty pipeline, if nobody wrote one there."""
    from towpath import projects

    others = tuple(addition for addition in additions if not addition.path.startswith("flows/"))
    path = root / draft.path
    if path.exists() and path.read_bytes().decode("utf-8", "replace") != projects.EMPTY_PIPELINE:
        return others
    return (*others, projects.NewFile(draft.path, draft.text, replaces=path.exists()))


def _init_document(
    root: Path, additions: tuple[Addition, ...], draft: PipelineDraft | None, dry_run: bool
) -> dict[str, object]:
    from towpath.projects import NewFile

    return {
        "root": str(root),
        "made": [addition.path for addition in additions if isinstance(addition, NewFile)],
        "added": {
            addition.path: list(addition.lines)
            for addition in additions
            if not isinstance(addition, NewFile)
        },
        "pipeline": draft.path if draft else None,
        "left_out": [str(fault) for fault in draft.left_out] if draft else [],
        "dry_run": dry_run,
    }


def _say_additions(
    session: Session, root: Path, additions: tuple[Addition, ...], draft: PipelineDraft | None,
    dry_run: bool,
) -> None:  # fmt: skip
    for addition in additions:
        say = terminal.echo if dry_run else session.say  # what was asked for, or what was done
        say(addition.describe_addition(would=dry_run))
    if draft:
        _say_draft(session, additions, draft)
    if not additions:
        session.say(f"nothing to do: {root} is a project")
        return
    if dry_run:
        session.say("nothing was written: without --dry-run it is")
        return
    session.say()
    session.say("Next:")
    for line in _next_commands(draft, additions):
        session.say(f"  {line}")


def _say_draft(session: Session, additions: tuple[Addition, ...], draft: PipelineDraft) -> None:
    drafted = any(addition.path == draft.path for addition in additions)
    if not drafted:
        session.say(f"{draft.path} is there, and was left alone")
    elif draft.left_out:
        session.say()
        session.say("A pipeline cannot say these, which stand in the draft as comments:")
        for fault in draft.left_out:
            session.say(f"  {fault}")


def _next_commands(draft: PipelineDraft | None, additions: tuple[Addition, ...]) -> tuple[str, ...]:
    commit = "git add --all && git commit -m 'Adopt Towpath'"
    if draft:
        return "towpath check", "towpath run", commit
    pipeline_file = next(
        (addition.path for addition in additions if addition.path.startswith("flows/")), None
    )
    begin = (f"write {pipeline_file}: it says how to begin",) if pipeline_file else ()
    return *begin, "towpath check", commit
