"""`towpath new`, `init`, `check`, `graph`, `schema` and `doctor`: what a project is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from towpath.cli.render import terminal
from towpath.cli.render.json_document import print_json
from towpath.cli.render.terminal import Styled
from towpath.cli.session import (
    Session,
    drawing_format_option,
    drawing_output_option,
    environment_option,
    json_option,
    parse_assignments,
    pass_session,
    pipeline_argument,
    refuse_without,
    show_drawing,
)
from towpath.errors import DeclarationError, ExitCode, Fault, UsageError

if TYPE_CHECKING:
    from towpath.doctor import DoctorCheck
    from towpath.projects import Addition
    from towpath.projects.pipeline_draft import PipelineDraft
    from towpath.workspace import Workspace


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
    from towpath.projects import pipeline_draft

    if pipeline and not source:
        raise UsageError("`--pipeline` names the draft of `--from`", hint="add `--from dvc.yaml`")
    root = projects.find_root(session.working_folder / (folder or "."), named=folder is not None)
    draft = None
    if source:
        draft = pipeline_draft.draft_pipeline(root, session.working_folder / source, pipeline)
    additions = projects.plan_additions(root, dvc.missing_store_files(root))
    additions = _with_draft(root, additions, draft) if draft else additions
    if not dry_run:
        projects.apply_additions(root, additions)
    if as_json:
        return print_json("init", _init_document(root, additions, draft, dry_run))
    return _say_additions(session, root, additions, draft, dry_run)


def _with_draft(
    root: Path, additions: tuple[Addition, ...], draft: PipelineDraft
) -> tuple[Addition, ...]:
    from towpath import projects

    others = tuple(addition for addition in additions if not addition.path.startswith("flows/"))
    path = root / draft.path
    # The draft takes the place of an empty pipeline, and of nothing that somebody wrote.
    if path.exists() and path.read_bytes().decode("utf-8", "replace") != projects.EMPTY_PIPELINE:
        return others
    return (*others, projects.NewFile(draft.path, draft.text, replaces=path.exists()))


def _init_document(
    root: Path, additions: tuple[Addition, ...], draft: PipelineDraft | None, dry_run: bool
) -> dict[str, object]:
    from towpath.projects import NewFile

    return {
        "root": str(root),
        "made": [entry.path for entry in additions if isinstance(entry, NewFile)],
        "added": {e.path: e.lines for e in additions if not isinstance(e, NewFile)},
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
    if draft and draft.path not in [addition.path for addition in additions]:
        session.say(f"{draft.path} is there, and was left alone")
    elif draft and draft.left_out:
        session.say()
        session.say("A pipeline cannot say these, which stand in the draft as comments:")
        for fault in draft.left_out:
            session.say(f"  {fault}")
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


def _next_commands(draft: PipelineDraft | None, additions: tuple[Addition, ...]) -> tuple[str, ...]:
    commit = "git add --all && git commit -m 'Adopt Towpath'"
    if draft:
        return "towpath check", "towpath run", commit
    files = [addition.path for addition in additions if addition.path.startswith("flows/")]
    begin = [f"write {pipeline_file}: it says how to begin" for pipeline_file in files[:1]]
    return *begin, "towpath check", commit


@click.command()
@click.argument("template", default="tabular")
@click.argument("answers", nargs=-1, metavar="[NAME=ANSWER]...")
@click.option("--no-input", is_flag=True, help="Take the defaults, ask nothing.")
@click.option("--list", "catalogue", is_flag=True, help="List the templates.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False),
    help="The folder to make it in (default: here).",
)
@pass_session
def new(
    session: Session, template: str, answers: tuple[str, ...], no_input: bool, catalogue: bool,
    output: str | None,
) -> None:  # fmt: skip
    """Make a project from TEMPLATE (default: tabular), a Git repository that runs at once."""
    from towpath import projects

    if catalogue:
        for known_template in projects.catalogue():
            terminal.echo(f"{known_template.name:12} {known_template.description}")
        return
    if "=" in template:  # `towpath new name=x`: an answer, and the template by default
        template, answers = "tabular", (template, *answers)
    ask = not no_input and terminal.is_interactive()
    preset, destination = parse_assignments(answers, "answer"), output or "."
    folder = session.working_folder / destination
    project = projects.make_from_template(template, folder, preset, ask)
    commands = projects.next_commands(project, session.working_folder)
    session.say(f"made {commands[0].removeprefix('cd ')}")
    session.say()
    session.say("Next:")
    for command in commands:
        session.say(f"  {command}")


@click.command()
@click.argument("pipelines", nargs=-1)
@environment_option
@click.option("--promotion", is_flag=True, help="Check a branch as a promotion instead.")
@click.option("--base", metavar="COMMIT", help="Whose policy judges it (default: main).")
@click.option("--head", metavar="COMMIT", help="What is checked (default: what is checked out).")
@click.option(
    "--format", "form", type=click.Choice(["text", "md"]), default="text", help="md for a page."
)
@json_option
@pass_session
def check(
    session: Session, pipelines: tuple[str, ...], promotion: bool, base: str | None,
    head: str | None, form: str, as_json: bool, environment: str,
) -> None:  # fmt: skip
    """Say all that is wrong with the declarations of PIPELINES (default: all, and the stages'
    gates), with its places.

    Nothing of the project is imported or run.
    """
    if promotion:
        from towpath.cli.render import promotion_views

        if pipelines:
            hint = "--head COMMIT says which; without it, what is checked out"
            raise UsageError(f"--promotion checks a branch, and not `{pipelines[0]}`", hint=hint)
        return promotion_views.run_promotion_check(session, base, head, form, as_json)
    refuse_without("--promotion", {"--base": base, "--head": head, "--format": form != "text"})
    from towpath.pipeline import pipeline_order
    from towpath.planning import pipeline_check
    from towpath.planning.declared_pipelines import read_declared, read_pipelines

    workspace = session.workspace
    _ = workspace.project  # a wrong towpath.yaml is said alone: all else would follow from it
    names = [workspace.pipeline_name(name) for name in pipelines] or list(workspace.pipelines)
    declaration_faults = [
        *(pipeline_check.find_pipeline_faults(workspace, name) for name in names),
        *(pipeline_check.find_environment_faults(workspace, name, environment) for name in names),
        pipeline_order.circle_faults(read_pipelines(workspace)),
    ]
    if not pipelines:
        from towpath.backends.prefect.deployment_file import find_deployment_faults

        declaration_faults += [_gate_faults(workspace), find_deployment_faults(workspace)]
    if all_faults := dict.fromkeys(chain.from_iterable(declaration_faults)):
        raise DeclarationError(*all_faults)
    if as_json:
        return print_json("check", {"pipelines": names, "faults": []})
    counts = {name: len(read_declared(workspace, name).pipeline.steps) for name in names}
    return session.say(_summarise_check(counts))


def _gate_faults(workspace: Workspace) -> tuple[Fault, ...]:
    if not any(stage.gates for stage in workspace.project.stages.values()):
        return ()  # without loading a room, and the suites of expectations with it
    from towpath.delivery.gates import gate_files

    return gate_files.gate_faults(workspace.root, workspace.project)


def _summarise_check(counts: Mapping[str, int]) -> str:
    if not counts:
        sound = "towpath.yaml is sound"
        return f"{sound}; no pipeline yet: flows/<name>/pipeline.yaml would be one"
    steps = f"{sum(counts.values())} steps" if any(counts.values()) else "no steps yet"
    return f"{', '.join(counts)}: {steps}, nothing wrong"


@click.command()
@click.argument("of", type=click.Choice(["pipeline", "project"]), default="pipeline")
def schema(of: Literal["pipeline", "project"]) -> None:
    """Print the JSON Schema of a pipeline's (or the project's) declaration."""
    from towpath.config.schema import read_schema

    terminal.echo_json(read_schema(of).removesuffix("\n"))


@click.command()
@pipeline_argument
@environment_option
@drawing_format_option
@drawing_output_option
@click.option("--cells", is_flag=True, help="A box for each cell of a step with `each`.")
@click.option("--nested", is_flag=True, help="A box for each step of a pipeline in this one.")
@pass_session
def graph(
    session: Session,
    pipeline: str | None,
    environment: str,
    form: str | None,
    output: str | None,
    cells: bool,
    nested: bool,
) -> None:
    """Draw PIPELINE: as text in the terminal, as Mermaid, or as an SVG file."""
    from towpath.drawing.picture import picture_graph
    from towpath.planning import pipeline_check

    name = session.workspace.pipeline_name(pipeline)
    compiled = pipeline_check.drawable_graph(session.workspace, name, environment)
    show_drawing(session, picture_graph(compiled, cells, nested), form, output)


_MARKS = {"well": ("✓", "green"), "lacks": ("✗", "red"), "unknown": ("?", "yellow")}


@click.command()
@click.option("--offline", is_flag=True, help="Ask nobody: no remote, store, forge or API.")
@json_option
@pass_session
def doctor(session: Session, offline: bool, as_json: bool) -> int:
    """Say what stands in the way: in Git, the declaration, the stages' stores, and the forge.

    Changes nothing; exits 4 where something lacks. A store whose keys are not in this
    environment, and what this token may not read at the forge, is marked `?`.
    """
    from towpath.doctor import examine_project

    health_checks = examine_project(session.workspace, offline)
    if as_json:
        print_json("checks", health_checks)
    else:
        _print_checks([c for c in health_checks if not (session.quiet and c.verdict == "well")])
    missing = any(health_check.verdict == "lacks" for health_check in health_checks)
    return int(ExitCode.PENDING if missing else ExitCode.DONE)


def _print_checks(checks: Sequence[DoctorCheck]) -> None:
    for health_check, following in zip(checks, (*checks[1:], None), strict=True):
        about = Styled(health_check.about, "bold")
        terminal.echo(Styled(*_MARKS[health_check.verdict]), " ", about, f": {health_check.said}")
        # A hint that several in a row share is given once, after them.
        if health_check.hint and (following is None or following.hint != health_check.hint):
            terminal.echo("    ", Styled("hint", "cyan"), f": {health_check.hint}")
