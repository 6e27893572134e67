"""What every command shares: where it works, how much it says, in which form, and its options."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from msgspec import Struct

from towpath.cli.render import terminal
from towpath.errors import DeclarationError, Fault, Place, UsageError

if TYPE_CHECKING:
    from towpath.backends.git import Repository
    from towpath.cli.render.terminal import Piece
    from towpath.workspace import Workspace


_Function = TypeVar("_Function", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
pipeline_argument = click.argument("pipeline", required=False)
environment_option = click.option(
    "--for", "environment", metavar="NAME", default="",
    help="Take what the pipeline declares for NAME, such as `prod`.",
)  # fmt: skip
_PIPELINE_OPTIONS = (
    pipeline_argument,
    click.option(
        "--all", "every", is_flag=True,
        help="Every pipeline, each after those whose outputs it takes.",
    ),
    click.option(
        "-p", "--param", "params", metavar="NAME=VALUE", multiple=True,
        help="Set a parameter of the run.",
    ),
    click.option(
        "--input", "inputs", metavar="NAME=PATH", multiple=True,
        help="Take another file for an input.",
    ),
    click.option(
        "--params", "values_file", metavar="FILE",
        help="Take values of parameters from a .yaml or .json; --param goes first.",
    ),
    environment_option,
)  # fmt: skip


def pipeline_options(command: _Function) -> _Function:
    """Which pipelines are run or planned, and with what."""
    for option in reversed(_PIPELINE_OPTIONS):  # the one applied last stands first in the help
        command = option(command)
    return command


class Session(Struct, dict=True):
    folder: str | None
    quiet: bool
    verbose: int

    @cached_property
    def workspace(self) -> Workspace:
        """The project around the working directory, or around the folder given with -C."""
        from towpath.workspace import Workspace

        return Workspace.find(Path(self.folder) if self.folder else None)

    @property
    def working_folder(self) -> Path:
        return Path(self.folder or ".").absolute()

    def say(self, *pieces: Piece) -> None:
        """A line to a person: stderr, so that stdout holds only what was asked for."""
        if not self.quiet:
            terminal.echo(*pieces, err=True)


pass_session = click.make_pass_decorator(Session)


def parse_assignments(words: tuple[str, ...], option: str) -> dict[str, str]:
    """The words ``name=value`` of a repeated option. Error: UsageError naming each that is none."""
    wrong = [f"{option} {word}" for word in words if "=" not in word]
    if wrong:
        raise UsageError(*(Fault(f"{w} is no assignment", hint=f"write {w}=VALUE") for w in wrong))
    return dict(word.split("=", 1) for word in words)


def read_given_values(
    workspace: Workspace, params: tuple[str, ...], values_file: str | None
) -> tuple[dict[str, object], Mapping[str, Place]]:
    """The parameters of ``--params`` and ``--param``, and the lines of those in the file.

    Errors: UsageError for a file that is not there, DeclarationError for what is wrong in it.
    """
    from towpath.config.parameter_declaration import strip_prefix
    from towpath.config.values_file import read_values_file

    typed = {strip_prefix(n): v for n, v in parse_assignments(params, "--param").items()}
    if values_file is None:
        return {**typed}, {}
    values = read_values_file(workspace.root, values_file)
    if values.faults:
        raise DeclarationError(*values.faults)
    places = {name: place for name, place in values.places.items() if name not in typed}
    return {**values.values, **typed}, places


def refuse_with_all(pipeline: str | None, options: Mapping[str, object]) -> None:
    """UsageError for what says of one pipeline what cannot be said of all."""
    faults = [Fault(f"{o} is for one pipeline, not for --all") for o, v in options.items() if v]
    if pipeline is not None:
        faults.append(Fault(f"--all runs every pipeline, not `{pipeline}` alone"))
    if faults:
        raise UsageError(*faults)


def refuse_without(flag: str, options: Mapping[str, object]) -> None:
    """UsageError for options that say nothing where ``flag`` is not given."""
    if faults := [Fault(f"{option} is for {flag}") for option, value in options.items() if value]:
        raise UsageError(*faults)


def tags_age_words(repository: Repository) -> str | None:
    """How old this clone's view of its remote is; None for less than an hour, and without one."""
    from towpath.backends.git import remotes

    age = remotes.tags_age(repository) if remotes.list_remotes(repository) else None
    if age is None or age <= 3600:  # seconds: within an hour nobody needs to be told
        return None
    return f"as of {age / 3600:.0f} hours ago; `towpath fetch` brings what is new"


def _refuse_number(
    value: object, param: click.Parameter | None, kind: str, example: str
) -> NoReturn:
    name = max(param.opts, key=len) if param else "it"
    raise UsageError(f"{name} takes {kind}, not `{value}`", hint=f"for example {name} {example}")


class WholeNumber(click.IntRange):
    """A whole number from ``least`` to ``most``; ``example`` is what a hint names. What is none, or
    too small or large, is answered in our words."""

    def __init__(self, least: int, most: int | None = None, *, example: str) -> None:
        super().__init__(least, most)
        self._example = example
        self._kind = f"a whole number from {least} {'on' if most is None else f'to {most}'}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            _refuse_number(value, param, self._kind, self._example)


class PositiveNumber(click.FloatRange):
    """A number that is not below zero; ``example`` is what a hint names."""

    def __init__(self, *, example: str) -> None:
        super().__init__(min=0)
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            number = super().convert(value, param, ctx)
        except click.BadParameter:
            number = math.nan
        # `nan` is a number to Python, and click finds it below nothing.
        if not math.isfinite(number):
            _refuse_number(value, param, "a number from 0 on", self._example)
        return number


_ENDINGS = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".txt": "text", ".md": "text"}

drawing_format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "mermaid", "svg"]),
    default=None,
    help="Default: by -o's ending, else text.",
)
drawing_output_option = click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Write to a file."
)


def show_drawing(session: Session, what: Any, form: str | None, output: str | None) -> None:
    """Draw a graph or a picture; UsageError for a file whose ending names no form."""
    from towpath import drawing
    from towpath.versions.work_tree_files import note_own_files

    draw = {"text": drawing.text, "mermaid": drawing.mermaid, "svg": drawing.svg}
    drawn = draw[form or _drawing_form(output)](what)
    if not output:
        return terminal.echo_block(drawn)
    (session.working_folder / output).write_text(drawn + "\n", encoding="utf-8")
    # A drawing beside the sources is none of them: a version after it is not of a changed tree.
    note_own_files([session.working_folder / output])
    return session.say(f"wrote {output}")


def _drawing_form(output: str | None) -> str:
    ending = Path(output).suffix.lower() if output else ".txt"
    if ending not in _ENDINGS:
        hint = "end its name in .svg, .mmd or .txt, or say --format"
        raise UsageError(f"{output}: no drawing is written as `{ending}`", hint=hint)
    return _ENDINGS[ending]
