"""A pipeline as it is declared: parameters, inputs and steps, each kind of step a type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    Tag,
    model_validator,
)

from towpath.config import expression
from towpath.config import names_and_paths as grammar
from towpath.config.bias_names import AFTER_TRAINING
from towpath.config.check_bounds import (
    BaselineBounds,
    BiasBounds,
    ColumnNames,
    ColumnValues,
)
from towpath.config.declaration import (
    MESSAGE,
    Bindings,
    ConditionText,
    Declaration,
    MessageText,
    Names,
    ShortForm,
    by_shape,
    kinds_of,
    one_or_more,
)
from towpath.config.each_declaration import Repetition
from towpath.config.file_declaration import AnyInput, Output, Outputs
from towpath.config.parameter_declaration import AnyEnvironment, AnyParam, ParamPath, flatten_params
from towpath.config.step_surroundings import FailureWatch, Secrets, VariableText, watched_steps
from towpath.config.tuning_declaration import ParameterRanges


class Retry(Declaration):
    """How a failed step is tried again."""

    attempts: int = Field(ge=1, le=100)
    """Attempts in all, the first included."""
    delay: grammar.Pause = 0
    """The pause before the second attempt, in seconds or such as `10s`."""
    backoff: float = Field(default=1, ge=1, le=100)
    """How many times as long each further pause is."""
    jitter: float = Field(default=0, ge=0, le=1)
    """The part of a pause that is added or taken away at random, at most."""
    errors: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The exceptions worth another attempt; empty: any."""


class Expiry(Declaration):
    """For how long a result may be reused."""

    expires: grammar.Duration
    """In seconds, or such as `30d`."""


class Step(Declaration):
    """What every kind of step may say."""

    kind: str
    """What the step does; by default it calls a function."""
    description: str | None = None
    """What the step is for."""
    after: Names = ()
    """Steps to wait for without taking anything from them."""
    retry: Annotated[Retry, BeforeValidator(ShortForm(int, "attempts"))] | None = None
    """How often, and after what pause, the step is tried again when it fails."""
    timeout: grammar.Duration | None = None
    """After so long the step is stopped and has failed."""
    memory: grammar.Memory | None = None
    """With more memory than this, such as `2GB`, the step is stopped and has failed."""
    cache: Annotated[
        Annotated[bool, Tag("switch")] | Annotated[Expiry, Tag("mapping")], by_shape
    ] = True
    """`false`: what the step made is never reused; `{expires: 30d}`: for so long."""
    code: Annotated[tuple[grammar.File, ...], Field(strict=False)] = ()
    """Further files that its result depends on, beside this file."""
    env: Mapping[grammar.Variable, VariableText] = Field(default_factory=dict)
    """Variables of its environment, such as `{MODE: fast}`."""
    secrets: Secrets = Field(default_factory=dict)
    """Variables of its environment that nothing shows, such as `[API_TOKEN]`."""
    environment: Annotated[grammar.File, AfterValidator(grammar.requirements_file)] | None = None
    """A requirements.txt with packages of its own, beside this file or from the project's root."""
    on_failure: Annotated[FailureWatch, BeforeValidator(watched_steps)] | None = None
    """Steps of which one has failed: only then does this one run."""
    priority: int = Field(default=0, ge=-1000, le=1000)
    """Of the steps that could begin, those of the highest number begin first."""


class RepeatedStep(Repetition, Step):
    """A step that may be made once for each item of a list, or each combination of several."""


class FunctionStep(RepeatedStep):
    """A step that calls a function of the project."""

    run: grammar.Function
    """`train` is the function in steps.py beside this file; `shared.publish:to_folder` starts at
    the project's root."""
    inputs: Bindings = ()
    """What it takes from inputs and other steps: a list takes each item's last name, a mapping
    renames."""
    params: Bindings = ()
    """The parameters that it takes."""
    literals: Mapping[grammar.Name, Any] = Field(default_factory=dict, alias="with")
    """Values of arguments that are written here."""
    outputs: Outputs = ()
    """What it writes: a list names by file stem, a mapping gives names."""


class Processing(FunctionStep):
    """Reads, cleans, splits, joins: any function."""

    kind: Literal["processing"] = "processing"


class Training(FunctionStep):
    """Fits a model; a model of a known library leaves its signature."""

    kind: Literal["training"] = "training"


class Evaluation(FunctionStep):
    """Measures a model; its JSON outputs are metrics."""

    kind: Literal["evaluation"] = "evaluation"


class Tuning(ParameterRanges, FunctionStep):
    """Looks for the values of parameters with which a function does best."""

    kind: Literal["tuning"] = "tuning"


class DaskStep(FunctionStep):
    """Calls a function that works on a Dask cluster: it is given a client, or Dask's tables."""

    kind: Literal["dask"] = "dask"
    address: Annotated[str, AfterValidator(grammar.scheduler_address)] | None = None
    """The scheduler, `tcp://host:8786`; by default the runner's, else a cluster of this machine."""
    workers: int | None = Field(default=None, ge=1)
    """The processes of a cluster of this machine; by default one for each core."""


class QualityCheck(RepeatedStep):
    """Holds data against expectations or a baseline; makes `data` (the same bytes), `result`,
    `page`, and with `baseline` the counts that later data can be held against."""

    kind: Literal["quality_check"] = "quality_check"
    inputs: Bindings
    """`data`: the table to check; `baseline`: what an earlier check made as `baseline`."""
    expectations: grammar.File | None = None
    """The suite, beside this file; with `each` one for each item: `expectations/{table}.yaml`."""
    baseline: BaselineBounds = None
    """`true`, or how far the data may be from the baseline: `{distribution: 0.2}`."""
    must_pass: bool = True
    """false: only report what does not pass."""

    @model_validator(mode="after")
    def _require_measure(self) -> Self:
        if self.baseline is None:
            if any(argument == "baseline" for argument, *_ in list_bindings(self, "inputs")):
                hint = "write `baseline: true`, or `baseline: {distribution: 0.2}`"
                what = "it takes a baseline, and does not say how far the data may be from it"
                grammar.refuse_value(what, hint)
            if self.expectations is None:
                hint = "write `expectations: expectations/raw.yaml`, or `baseline: true`"
                grammar.refuse_value("a quality_check holds data against something", hint)
        return self


class BiasCheck(RepeatedStep):
    """Holds labels and predictions of groups against each other; makes `result` and `page`."""

    kind: Literal["bias_check"] = "bias_check"
    inputs: Bindings
    """`data`: a table with the groups and the labels; `model`: what predicts for its rows."""
    group: ColumnNames
    """The column that names each row's group, or several, each looked at by itself."""
    label: str
    """The column with what was true."""
    prediction: str | None = None
    """The column with what was predicted, where no `model` is given."""
    positive: ColumnValues | None = None
    """The outcome, or outcomes, that count as positive; by default 1 of 0 and 1."""
    threshold: float | None = None
    """From this on a prediction that is a number, such as a probability, is positive."""
    reference: str | int | float | bool | None = None
    """The group that others are held against; by default all the others, of two the larger."""
    least_rows: int = Field(default=30, ge=1)
    """Of fewer rows a measure is told, and not held against its bound."""
    bounds: BiasBounds = Field(default_factory=dict)
    """What measures may be: `{disparate_impact: 0.8, DPL: 0.1}`."""
    must_pass: bool = True
    """false: only report what is out of bounds."""

    @property
    def predicts(self) -> bool:
        """Whether there are predictions to look at."""
        return bool(self.prediction) or self._takes_model

    @property
    def _takes_model(self) -> bool:
        return any(argument == "model" for argument, *_ in list_bindings(self, "inputs"))

    @model_validator(mode="after")
    def _require_predictions(self) -> Self:
        if self._takes_model and (self.prediction or self.threshold is not None):
            key = "prediction" if self.prediction else "threshold"
            grammar.refuse_value(f"the `model` predicts, and `{key}` is for a column", "remove one")
        if self.threshold is not None and not self.prediction:
            what = "`threshold` is for a column of predictions"
            grammar.refuse_value(what, "`prediction: likely` names it")
        unfit = [name for name in self.bounds if name in AFTER_TRAINING]
        if unfit and not self.predicts:
            hint = "name the column: `prediction: prediction`, or take a `model`"
            grammar.refuse_value(f"`{unfit[0]}` is a measure of predictions", hint)
        if self.reference is not None and len(self.group) > 1:
            grammar.refuse_value("`reference` is one of one column's groups", "name one `group`")
        return self


class Explain(RepeatedStep):
    """Tells which features a model goes by; makes `importance` (JSON), `rows` (a table with the
    effects of each feature on each row) and `plot` (SVG)."""

    kind: Literal["explain"] = "explain"
    inputs: Bindings
    """`model` and `data`."""
    target: str | None = None
    """The column with what was true; permutation needs it."""
    method: Literal["permutation", "shap"] = "permutation"
    """scikit-learn's permutation importance, or SHAP (`pip install 'towpath[explain]'`)."""
    rows: int = Field(default=1000, ge=2)
    """So many rows at most are explained; of more, so many are drawn."""
    repeats: int = Field(default=5, ge=1, le=1000)
    """How often permutation deals each feature's values anew."""
    scoring: str | None = None
    """One of scikit-learn's scorers, such as `roc_auc`; by default the model's own score."""
    seed: int = Field(default=0, ge=0, lt=1 << 32)
    """What chance begins with."""

    @model_validator(mode="after")
    def _require_target(self) -> Self:
        if self.method == "permutation" and self.target is None:
            hint = "write `target: rings`, the column with what was true"
            grammar.refuse_value("permutation importance is by how much a score falls", hint)
        if self.method == "shap" and self.scoring is not None:
            grammar.refuse_value("`scoring` is for permutation: SHAP scores nothing", "remove it")
        return self


class Condition(Step):
    """Chooses between two branches by a small expression."""

    kind: Literal["condition"] = "condition"
    expression: ConditionText = Field(alias="if")
    """Such as `evaluate.metrics.mse <= max_mse`."""
    then: Names = ()
    """The steps that run where it is true."""
    otherwise: Names = Field(default=(), alias="else")
    """The steps that run where it is false."""


def model_name_of_items(text: str) -> str:
    """A model's name, or one in which items of ``each`` stand in braces."""
    return MESSAGE(text) if "{" in text else grammar.model(text)


class RegisterModel(RepeatedStep):
    """Registers a model as the next version of a name in the registry."""

    kind: Literal["register_model"] = "register_model"
    model: Annotated[str, AfterValidator(model_name_of_items)] = Field(alias="as")
    """The model's name; with `each` the items in it: `sales-{region}`."""
    inputs: Bindings
    """`model`, and what is recorded with it, such as `metrics`."""
    beside: Bindings = ()
    """Files that are kept with the version, such as `{bias: fair.result}`."""
    labels: Mapping[str, MessageText] = Field(default_factory=dict)
    """Labels of the version; `{evaluate.metrics.mse:.2f}` is filled in."""
    bump: Literal["major", "minor", "patch"] | None = None
    """The part of the number that goes up."""
    trials: Literal["skip", "register"] = "skip"
    """Whether a run with other values than the declared ones registers too."""


class CreateModel(RepeatedStep):
    """Puts a model together with all that it needs to be used elsewhere; makes `model`."""

    kind: Literal["create_model"] = "create_model"
    inputs: Bindings
    """Its parts by name, `samples` (a table of rows that it takes), and `metrics` for its card."""
    chain: Annotated[
        tuple[grammar.Function, ...], BeforeValidator(one_or_more), Field(strict=False)
    ] = ()
    """What rows go through, in order: inputs (.skops), and functions of one argument, such as
    `in_years` in steps.py or `shared.ages:in_years`."""
    predict: grammar.Function | None = None
    """For what is no estimator: a function of `data` and the parts, that gives a value a row."""
    load: grammar.Function | None = None
    """A function of the parts' paths; what it gives is `model` for `predict`."""
    columns: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """The columns that it takes; by default those of its first part, else all of the samples."""
    rows: int = Field(default=20, ge=1, le=1000)
    """How many of the samples are kept, with what it predicts for them."""
    card: grammar.File | None = None
    """A text for its card, beside this file or from the project's root."""


class BatchTransform(RepeatedStep):
    """Applies ``model`` to the table ``data``: its rows with the prediction beside them."""

    kind: Literal["batch_transform"] = "batch_transform"
    inputs: Bindings
    """`model` and `data`."""
    outputs: Outputs
    """The table that it writes."""
    method: Literal["predict", "predict_proba"] = "predict"
    """What the model is asked for."""
    batch_size: int | None = Field(default=None, ge=1)
    """Rows at a time; by default all."""


def command_words(value: Any) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return value
    words = tuple(value) if isinstance(value, list | tuple) else ()
    if not words or not all(isinstance(word, str) for word in words):
        hint = "write numbers in quotes" if words else None
        grammar.refuse_value("`command` must be text, or a list of words that are text", hint)
    return words


# One validator and no union of pydantic's, which would find a fault for each of its branches; and
# written as it is: pydantic would make a list of the tuple, and then warn that it is none.
CommandWords: TypeAlias = Annotated[
    str | tuple[str, ...],
    PlainValidator(command_words),
    PlainSerializer(lambda words: words, return_type=Any),
]


class CommandStep(RepeatedStep):
    """Runs a program of any language on files; with ``places`` or ``settings`` in a folder of its
    own."""

    kind: Literal["command"] = "command"
    command: CommandWords
    """The program and its arguments, in which `{name}` is an input's or output's path or a
    parameter's value; `{{` is a brace."""
    inputs: Bindings = ()
    """What it takes from inputs and other steps."""
    params: Bindings = ()
    """The parameters that it takes."""
    outputs: Outputs = ()
    """What it writes: a list names by file stem, a mapping gives names."""
    shell: bool = False
    """Whether bash reads the command, as a script."""
    metrics: Names = ()
    """The JSON outputs that are metrics."""
    places: Mapping[grammar.Name, grammar.File] = Field(default_factory=dict)
    """Where the program has a file that the command does not name."""
    settings: Mapping[grammar.File, Mapping[str, grammar.Name]] = Field(default_factory=dict)
    """Files of parameters that it reads: key in the file, parameter."""
    workdir: grammar.File | None = None
    """The folder that it runs in; by default the project's root."""


class NotebookStep(RepeatedStep):
    """Executes a notebook with its parameters; makes what it declares, `notebook` (as it was
    executed) and `page` (HTML)."""

    kind: Literal["notebook"] = "notebook"
    notebook: Annotated[grammar.File, AfterValidator(grammar.notebook_file)]
    """The notebook, beside this file or from the project's root: `explore.ipynb`."""
    inputs: Bindings = ()
    """What it takes from inputs and other steps: in the notebook a variable with the path."""
    params: Bindings = ()
    """The parameters that it takes: variables with their values."""
    literals: Mapping[grammar.Name, Any] = Field(default_factory=dict, alias="with")
    """Values of variables that are written here."""
    outputs: Outputs = ()
    """What it writes: a variable with the path to write to."""


class PipelineStep(RepeatedStep):
    """Carries out the steps of another pipeline, each as a step of this one: `clean.create`."""

    kind: Literal["pipeline"] = "pipeline"
    pipeline: grammar.PipelineName
    """The other pipeline, by its folder in flows/."""
    inputs: Bindings = ()
    """What it takes from inputs and other steps in place of its own inputs; others are as that
    pipeline declares them."""
    params: Bindings = ()
    """The parameters that it takes in place of its own; others are as that pipeline declares
    them."""
    literals: Mapping[grammar.Name, Any] = Field(default_factory=dict, alias="with")
    """Values of its parameters that are written here."""


class DuckDBStep(RepeatedStep):
    """Makes tables of tables by SQL, also of more than fits into memory."""

    kind: Literal["duckdb"] = "duckdb"
    sql: Annotated[str, AfterValidator(grammar.check_sql)]
    """A file beside this one or from the project's root (`totals.sql`), or the SQL itself."""
    inputs: Bindings = ()
    """The tables that it reads, by the names that they have in the SQL."""
    params: Bindings = ()
    """The parameters that it takes: `$year` in the SQL."""
    literals: Mapping[grammar.Name, Any] = Field(default_factory=dict, alias="with")
    """Values of parameters that are written here."""
    outputs: Outputs
    """Of one output what the last query gives, else the tables or views of these names."""


class Fail(Step):
    """Ends the run as failed, with a message."""

    kind: Literal["fail"] = "fail"
    message: MessageText
    """Why; `{evaluate.metrics.mse:.2f}` is filled in."""


class Stop(Step):
    """Ends the run well, with a message: no step begins any more."""

    kind: Literal["stop"] = "stop"
    message: MessageText
    """Why; `{evaluate.metrics.mse:.2f}` is filled in."""


class Notify(Step):
    """Tells somebody, by a command or a notification block of Prefect's; in each run anew."""

    kind: Literal["notify"] = "notify"
    message: MessageText
    """What is told; `{evaluate.metrics.mse:.2f}` is filled in."""
    command: CommandWords | None = None
    """A program that tells it: the message is its input, and its variable TOWPATH_MESSAGE."""
    block: grammar.NotificationBlock | None = None
    """A notification block of Prefect's by kind and name: `slack-webhook/alerts`."""

    @model_validator(mode="after")
    def _require_one_way(self) -> Self:
        if (self.command is None) == (self.block is None):
            hint = "write `command: python tell.py`, or `block: slack-webhook/alerts`"
            grammar.refuse_value("a notification is told in one way", hint)
        return self


def require_answers(answers: Mapping[str, Any]) -> Mapping[str, Any]:
    if not answers:
        hint = "write `answers: {approved: {type: boolean}}`"
        grammar.refuse_value("the callback asks for no value", hint)
    return answers


class Callback(Step):
    """Waits for the answer of a person or a system; makes `answer`, a JSON document."""

    kind: Literal["callback"] = "callback"
    message: MessageText
    """What is asked; `{evaluate.metrics.mse:.2f}` is filled in."""
    answers: Annotated[Mapping[grammar.Name, AnyParam], AfterValidator(require_answers)]
    """What an answer holds: as parameters are declared."""


AnyStep: TypeAlias = (
    Processing | Training | Evaluation | Tuning | DaskStep | QualityCheck | BiasCheck | Explain
    | Condition | CreateModel | RegisterModel
    | BatchTransform | CommandStep | NotebookStep | DuckDBStep | PipelineStep
    | Fail | Stop | Notify | Callback
)  # fmt: skip
KINDS: Mapping[str, type[Step]] = kinds_of(AnyStep)


class Pipeline(Declaration):
    """A pipeline as it is declared, before its names are resolved."""

    name: grammar.PipelineName
    description: str | None = None
    """What the pipeline is for."""
    params: Annotated[Mapping[ParamPath, AnyParam], BeforeValidator(flatten_params)] = Field(
        default_factory=dict
    )
    """Parameters: a default alone, the long form, or a group of further ones; by dotted name."""
    inputs: Mapping[grammar.Name, AnyInput] = Field(default_factory=dict)
    """Files, folders and models that the pipeline takes."""
    environments: Mapping[grammar.EnvironmentName, AnyEnvironment] = Field(
        default_factory=dict, alias="for"
    )
    """Environments, such as `prod`: the values that `towpath run --for prod` takes."""
    formats: Mapping[grammar.OwnFormatName, grammar.Function] = Field(default_factory=dict)
    """Formats of the project's own, by name: a class with `read` and `write`."""
    steps: Mapping[grammar.Name, Annotated[AnyStep, Field(discriminator="kind")]] = Field(
        default_factory=dict
    )
    """The steps: their order is that of their references, not that of this file."""


CHECKED: Mapping[str, Output] = {
    "data": Output(path="data"),
    "result": Output(path="result.json"),
    "page": Output(path="page.html"),
}
BASELINE = Output(path="baseline.json")
EXPLAINED: Mapping[str, Output] = {
    "importance": Output(path="importance.json"),
    "rows": Output(path="rows.parquet"),
    "plot": Output(path="plot.svg"),
}


#: The kinds whose outputs are declared.
DECLARES_OUTPUTS = (FunctionStep, BatchTransform, CommandStep, NotebookStep, DuckDBStep)


def notebook_outputs(step: NotebookStep) -> dict[str, Output]:
    """What is kept of each notebook: as it was executed, and as a page."""
    stem = grammar.output_stem(step.notebook)
    return {"notebook": Output(path=f"{stem}.ipynb"), "page": Output(path=f"{stem}.html")}


def output_files(step: Step) -> dict[str, Output]:
    """Output name -> file; a list names by file stem, a quality check's are fixed.

    The file of a check's ``data`` has the extension of what it checks: the graph knows it.
    """
    return dict(named_outputs(step))


def named_outputs(step: Step) -> Iterator[tuple[str, Output]]:
    """The same as pairs, in which a name may come twice."""
    if isinstance(step, QualityCheck):
        yield from CHECKED.items()
        if step.baseline:
            yield "baseline", BASELINE
    elif isinstance(step, Explain):
        yield from EXPLAINED.items()
    elif isinstance(step, BiasCheck):
        yield from ((name, CHECKED[name]) for name in ("result", "page"))
    elif isinstance(step, DECLARES_OUTPUTS):
        if isinstance(step.outputs, Mapping):
            yield from step.outputs.items()
        else:
            yield from ((grammar.output_stem(output.path), output) for output in step.outputs)
    if isinstance(step, NotebookStep):
        yield from notebook_outputs(step).items()
    elif isinstance(step, Callback):
        yield "answer", Output(path="answer.json")
    elif isinstance(step, CreateModel):
        yield "model", Output(path="model.bundle/")


def is_json(output: Output) -> bool:
    """Whether an output holds a JSON document, into whose keys references may reach."""
    return output.format == "json" or (output.format is None and output.path.endswith(".json"))


def list_bindings(step: Step, key: str) -> Iterator[tuple[str, str, str | int]]:
    """``inputs`` or ``params`` as (argument, reference, where in the list or mapping).

    A list's item takes its last name; of ``a.x or b.x`` that is ``x``, and of ``a.x or b.y``,
    which has two, the argument is empty.
    """
    bound: Any = getattr(step, key, ())
    if isinstance(bound, Mapping):
        yield from ((argument, text, argument) for argument, text in bound.items())
        return
    for index, text in enumerate(bound):
        lasts = {alternative.last_name for alternative in expression.parse_alternatives(text)}
        yield (lasts.pop() if len(lasts) == 1 else "", text, index)
