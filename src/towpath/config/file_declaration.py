"""Files as a pipeline declares them: what it takes, and what its steps write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, Tag, model_validator

from towpath.config import names_and_paths as grammar
from towpath.config.declaration import Declaration, ShortForm, by_shape, one_or_more
from towpath.config.table_options import TableOptions

_OneOrMore = BeforeValidator(one_or_more)


class Readable(Declaration):
    """A file with what is declared of its format, and of the text of a table in it."""

    format: grammar.FormatName | None = None
    """The format, where the extension does not tell it."""
    separator: Annotated[str, AfterValidator(grammar.check_separator)] | None = None
    """What stands between the fields of a .csv or .tsv."""
    decimal: Annotated[str, AfterValidator(grammar.decimal_mark)] | None = None
    """The mark before the fraction of a number."""
    encoding: Annotated[str, AfterValidator(grammar.check_encoding)] | None = None
    """The encoding of a .csv or .tsv, such as `latin-1`."""
    types: Mapping[str, Annotated[str, AfterValidator(grammar.column_type)]] = Field(
        default_factory=dict
    )
    """Types of columns that are not to be guessed."""
    missing: Annotated[tuple[str, ...], _OneOrMore, Field(strict=False)] | None = None
    """The texts that stand for no value, such as `[""]`."""

    @property
    def options(self) -> TableOptions:
        """What is declared of a table's text."""
        return TableOptions.from_declaration(self)


class Input(Readable):
    """A file, a folder or a model that a pipeline takes."""

    path: grammar.InputSource
    """A path from the project's root (`dir/` is a folder), a model (`abalone@v1.0.0`,
    `abalone@latest`, `abalone#prod`), or an output of another pipeline:
    `data_processing:create.table`."""
    model: grammar.ModelSource | None = None
    """A model: what `path` may name too."""
    output: grammar.Name | None = None
    """What stands beside that version in the registry, in place of its model."""
    optional: bool = False
    """`true`: where it is not there, the argument is None."""
    last: Annotated[str, AfterValidator(grammar.step_output)] | None = None
    """What the last good run of this pipeline made: `step.output`."""
    otherwise: grammar.File | None = None
    """The file that is taken before there was such a run."""
    address: grammar.DataAddress | None = Field(default=None, alias="from")
    """Where the data is brought from and pinned: `s3://bucket/trips/`, `https://...`; by default
    to `data/` and its last part."""

    @property
    def is_model(self) -> bool:
        """Whether it is a model of the registry, and not what stands beside one."""
        return grammar.is_model_reference(self.path) and self.output is None

    @model_validator(mode="before")
    @classmethod
    def _fill_path(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or "path" in value:
            return value
        # What was made last has no path: a run that is given one takes that instead.
        for key in ("model", "last"):
            if (named := value.get(key)) is not None:
                # One that is no text is told as itself, and not as a path that is missing.
                return {**value, "path": named if isinstance(named, str) else "unnamed"}
        address = value.get("from", value.get("address"))
        place = grammar.data_place(address) if isinstance(address, str) else ""
        return {**value, "path": place} if place else value

    @model_validator(mode="after")
    def _require_last(self) -> Self:
        if self.last is None:
            if self.otherwise is not None:
                what = "`otherwise` is for what an earlier run made"
                grammar.refuse_value(what, "write `{last: step.output, otherwise: data/...}`")
            return self
        if self.path != self.last or self.model or self.output or self.address:
            others = ("model", "output", "address", "path")
            other = next(name for name in others if getattr(self, name))
            shown = "from" if other == "address" else other
            grammar.refuse_value(f"`last` and `{shown}` are two inputs", "remove one of them")
        if self.otherwise is None and not self.optional:
            what = f"before a run has made `{self.last}` there is nothing to take"
            grammar.refuse_value(what, "add `otherwise: data/...`, or `optional: true`")
        return self

    @model_validator(mode="after")
    def _require_version(self) -> Self:
        is_reference = grammar.is_model_reference(self.path)
        if self.model is not None and self.path != self.model:
            grammar.refuse_value("`model` and `path` are two inputs", "remove one of them")
        if self.output is not None and not is_reference:
            hint = f"write `{{model: churn#prod, output: {self.output}}}`"
            grammar.refuse_value("`output` is what stands beside a version of a model", hint)
        if self.optional and self.address:
            what = "what is brought from elsewhere is there, or the run fails"
            grammar.refuse_value(what, "remove `optional`")
        return self

    @model_validator(mode="after")
    def _require_file(self) -> Self:
        if self.address and grammar.is_model_reference(self.path):
            grammar.refuse_value("a model is not brought from an address", "write `path: data/...`")
        if self.address and grammar.is_output_reference(self.path):
            hint = "write `path: data/...`"
            grammar.refuse_value("what a pipeline makes is not brought from an address", hint)
        if self.address and grammar.is_folder_path(self.address) != grammar.is_folder_path(
            self.path
        ):
            what = f"`{self.path}` and what it is brought from must both be folders, or neither"
            grammar.refuse_value(what, "a slash behind a path or an address means a folder")
        return self


class Plot(Declaration):
    """How ``dvc plots show`` and ``towpath report`` draw an output."""

    x: str | None = None
    """The column along the x axis."""
    y: Annotated[tuple[str, ...], _OneOrMore, Field(strict=False)] | None = None
    """The column along the y axis, or several, each a line of its own."""
    by: str | None = None
    """A column whose values each get a line of their own; on Towpath's pages alone."""
    title: str | None = None
    """The plot's title."""
    x_label: str | None = None
    """What the x axis is called."""
    y_label: str | None = None
    """What the y axis is called."""
    template: str | None = None
    """One of DVC's templates: `linear`, `scatter`, `confusion`, ..."""

    @model_validator(mode="after")
    def _require_columns(self) -> Self:
        columns = self.y or ()
        if self.y is not None and not columns:
            grammar.refuse_value("`y` names no column", "leave it out, or name one")
        if repeated := [name for name in columns if columns.count(name) > 1]:
            grammar.refuse_value(f"`y` names `{repeated[0]}` twice")
        if self.by is not None and len(columns) != 1:
            grammar.refuse_value("`by` goes with one `y`", "`plot: {x: step, y: loss, by: model}`")
        return self


class Output(Readable):
    """A file, or with a slash behind its path a folder, that a step writes."""

    path: grammar.File
    """The file below the step's own folder; `dir/` is a folder."""
    plot: Annotated[Annotated[bool, Tag("switch")] | Annotated[Plot, Tag("mapping")], by_shape] = (
        False
    )
    """Whether and how `dvc plots show` draws it."""


AnyInput: TypeAlias = Annotated[Input, BeforeValidator(ShortForm(str, "path"))]
AnyOutput: TypeAlias = Annotated[Output, BeforeValidator(ShortForm(str, "path"))]
Outputs: TypeAlias = Annotated[
    Annotated[tuple[AnyOutput, ...], Field(strict=False), Tag("list")]
    | Annotated[Mapping[grammar.Name, AnyOutput], Tag("mapping")],
    by_shape,
]
"""What a step writes: a list names by file stem, a mapping gives the names."""
