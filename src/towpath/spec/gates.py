"""The gates of a stage as they are declared, each kind a type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from towpath.spec import words
from towpath.spec.declaration import Declaration
from towpath.spec.words import Duration, File

When: TypeAlias = Literal["review", "deploy"]
"""On the pull request, or after the merge inside the stage's account."""

BOUNDS = ("above", "below", "at_least", "at_most")
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?%")

Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Text: TypeAlias = Annotated[str, Field(min_length=1)]


def _share(value: Any) -> Any:
    """0.05 out of ``5%``."""
    if not isinstance(value, str):
        return value
    found = _PERCENT.fullmatch(value)
    if not found:
        words.refuse(f"`{value}` is no share", "write `5%` or 0.05")
    return float(found[1]) / 100


def _named(text: str) -> str:
    words.function(text)
    if ":" not in text:
        words.refuse(f"`{text}` names no module", f"write `checks:{text}` for that of checks.py")
    return text


Share: TypeAlias = Annotated[float, BeforeValidator(_share), Field(ge=0, allow_inf_nan=False)]
ModuleFunction: TypeAlias = Annotated[str, AfterValidator(_named)]


class Gate(Declaration):
    """What every kind of gate may say. ``when`` is ``review`` by default where the version's record
    is enough to judge, ``deploy`` where its bytes or the stage's data are needed."""

    HOW: ClassVar[Mapping[str, str]] = {
        "metric": "write `metric: mse`",
        "better": "write `better: lower` or `better: higher`",
        "at_least": "write `at_least: 24h`",
        "at_most": "write `at_most: 50ms`",
        "expectations": "write `expectations: expectations/scoring.yaml`, from the project's root",
        "samples": "write `samples: tests/golden.csv`, from the project's root",
        "data": "write `data: scoring.parquet`, a file of the stage's data",
        "target": "write `target:` and the column with what was true",
        "group": "write `group:` and the column whose values are the groups",
        "run": "`run: checks.gates:small_enough` calls that function of checks/gates.py",
    }
    """What to write for a key that is missing."""

    kind: str
    when: When
    description: str | None = None


class Timed(Gate):
    """A gate whose work is done in a process of its own, and ended after ``timeout`` seconds."""

    when: When = "deploy"
    timeout: Duration = 600


class Metric(Gate):
    """A metric of the version within bounds; a nested one by its dotted name (``by_sex.mse``)."""

    kind: Literal["metric"] = "metric"
    when: When = "review"
    metric: Text
    above: Number | None = None
    below: Number | None = None
    at_least: Number | None = None
    at_most: Number | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if all(getattr(self, bound) is None for bound in BOUNDS):
            words.refuse("a `metric` gate needs a bound", "write `at_most: 6.0`")
        return self


class NoWorse(Gate):
    """A metric no worse than the incumbent's, by more than an amount or a share of it."""

    kind: Literal["no_worse"] = "no_worse"
    when: When = "review"
    metric: Text
    better: Literal["lower", "higher"]
    by: Annotated[Number, Field(ge=0)] | None = None
    relative: Share | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.by is not None and self.relative is not None:
            words.refuse("`by` and `relative` are two ways to say one thing", "remove one")
        return self


class Signature(Gate):
    """Columns and types such that whoever calls the incumbent can call the candidate."""

    kind: Literal["signature"] = "signature"
    when: When = "review"


class Soak(Gate):
    """Time that the version has spent in the stage below, in seconds."""

    kind: Literal["soak"] = "soak"
    when: When = "review"
    at_least: Duration


class Expectations(Timed):
    """A suite of expectations, held against a file of the stage's data."""

    kind: Literal["expectations"] = "expectations"
    when: Literal["deploy"] = "deploy"
    expectations: File
    data: File


class Golden(Timed):
    """Inputs with the outputs that the model must give, within a tolerance.

    ``samples`` is a table, whose column ``expected`` holds the output, or JSON: a list of
    ``{"inputs": {...}, "expected": ...}``.
    """

    kind: Literal["golden"] = "golden"
    samples: File
    expected: Text = "expected"
    absolute: Annotated[Number, Field(ge=0)] = 0
    relative: Share = 0


class Safe(Timed):
    """Bytes as they were recorded, that hold only types known or trusted."""

    kind: Literal["safe"] = "safe"


Error: TypeAlias = Literal["mae", "mse", "rmse", "bias", "accuracy", "error_rate"]


class Fairness(Timed):
    """The model's error by group, on a file of the stage's data: groups may not lie apart by more
    than ``difference``, nor one be more than ``ratio`` times another. A group of fewer than
    ``least_rows`` rows is not judged."""

    kind: Literal["fairness"] = "fairness"
    when: Literal["deploy"] = "deploy"
    data: File
    target: Text
    group: Text
    metric: Error
    difference: Annotated[Number, Field(ge=0)] | None = None
    ratio: Annotated[Number, Field(ge=1)] | None = None
    least_rows: int = Field(default=30, ge=1)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.difference is None and self.ratio is None:
            words.refuse("a `fairness` gate needs a bound", "write `ratio: 1.25` or `difference:`")
        return self


class Latency(Timed):
    """How long predicting takes: a percentile over ``calls`` calls with ``rows`` rows each, after
    ``warm_up`` calls that do not count. The rows are from ``samples`` (a file of the repository)
    or ``data`` (a file of the stage's)."""

    kind: Literal["latency"] = "latency"
    at_most: Duration
    percentile: Literal["p50", "p95", "p99"] = "p95"
    samples: File | None = None
    data: File | None = None
    rows: int = Field(default=1, ge=1, le=1_000_000)
    calls: int = Field(default=200, ge=1, le=100_000)
    warm_up: int = Field(default=20, ge=0, le=100_000)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.samples is None) == (self.data is None):
            words.refuse("a `latency` gate takes its rows from `samples` or from `data`")
        _has_data(self, self.data)
        return self


class Function(Timed):
    """The project's own: ``module:function``, from the commit whose policy judges.

    It is called with one mapping (docs/gates.md). ``data`` names files of the stage's data that it
    needs; without ``model`` the version's bytes are not brought. ``environment`` names variables
    that it gets, and ``network`` lets it connect.
    """

    kind: Literal["function"] = "function"
    run: ModuleFunction
    model: bool = True
    data: Annotated[tuple[File, ...], Field(strict=False)] = ()
    environment: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    network: bool = False

    @model_validator(mode="after")
    def _sound(self) -> Self:
        _has_data(self, self.data)
        return self


def _has_data(gate: Gate, data: object) -> None:
    if data and gate.when == "review":
        words.refuse("a stage's data is not there on review", "write `when: deploy`")


KINDS: Mapping[str, type[Gate]] = {
    "metric": Metric,
    "no_worse": NoWorse,
    "signature": Signature,
    "soak": Soak,
    "expectations": Expectations,
    "golden": Golden,
    "safe": Safe,
    "fairness": Fairness,
    "latency": Latency,
    "function": Function,
}

AnyGate: TypeAlias = (
    Metric
    | NoWorse
    | Signature
    | Soak
    | Expectations
    | Golden
    | Safe
    | Fairness
    | Latency
    | Function
)
