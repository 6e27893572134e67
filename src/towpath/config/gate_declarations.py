"""The gates of a stage as they are declared, each kind a type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from towpath.config import names_and_paths
from towpath.config.declaration import Declaration, kinds_of
from towpath.config.names_and_paths import Duration, File, refuse_value

When: TypeAlias = Literal["review", "deploy"]
"""On the pull request, or after the merge inside the stage's account."""

BOUNDS = ("above", "below", "at_least", "at_most")
_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?%")

Number: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Text: TypeAlias = Annotated[str, Field(min_length=1)]


def parse_share(value: Any) -> Any:
    """0.05 out of ``5%``."""
    if not isinstance(value, str):
        return value
    match = _PERCENT.fullmatch(value)
    if not match:
        refuse_value(f"`{value}` is no share", "write `5%` or 0.05")
    return float(match[1]) / 100


def module_function(text: str) -> str:
    names_and_paths.check_function(text)
    if ":" not in text:
        refuse_value(f"`{text}` names no module", f"write `checks:{text}` for that of checks.py")
    return text


Share: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(parse_share)]
ModuleFunction: TypeAlias = Annotated[str, AfterValidator(module_function)]


class Gate(Declaration):
    """What every kind of gate may say."""

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
    """What is checked."""
    when: When
    """On the pull request, or after the merge inside the stage's account: `review` by default where
    the version's record is enough to judge, `deploy` where its bytes or data are needed."""
    description: str | None = None
    """What the gate is for."""


class Timed(Gate):
    """A gate whose work is done in a process of its own."""

    when: When = "deploy"
    timeout: Duration = 600
    """After so long it has failed; by default 10m."""


class Metric(Gate):
    """A metric of the version within bounds."""

    kind: Literal["metric"] = "metric"
    when: When = "review"
    metric: Text
    """Its name, dotted where it is nested (`by_sex.mse`)."""
    above: Number | None = None
    """It must be greater."""
    below: Number | None = None
    """It must be less."""
    at_least: Number | None = None
    """It must be this or greater."""
    at_most: Number | None = None
    """It must be this or less."""

    @model_validator(mode="after")
    def _require_bound(self) -> Self:
        if all(getattr(self, bound) is None for bound in BOUNDS):
            refuse_value("a `metric` gate needs a bound", "write `at_most: 6.0`")
        return self


class NoWorse(Gate):
    """A metric no worse than the incumbent's, by more than an amount or a share of it."""

    kind: Literal["no_worse"] = "no_worse"
    when: When = "review"
    metric: Text
    """Its name, dotted where it is nested."""
    better: Literal["lower", "higher"]
    """Which is better."""
    by: Annotated[Number, Field(ge=0)] | None = None
    """How much worse it may be."""
    relative: Share | None = None
    """How much worse, as a share: `5%`, 0.05."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.by is not None and self.relative is not None:
            refuse_value("`by` and `relative` are two ways to say one thing", "remove one")
        return self


class SignatureGate(Gate):
    """Columns and types such that whoever calls the incumbent can call the candidate."""

    kind: Literal["signature"] = "signature"
    when: When = "review"


class Soak(Gate):
    """Time that the version has spent in the stage below, in seconds."""

    kind: Literal["soak"] = "soak"
    when: When = "review"
    at_least: Duration
    """Such as `24h`."""


class Expectations(Timed):
    """A suite of expectations, held against a file of the stage's data."""

    kind: Literal["expectations"] = "expectations"
    when: Literal["deploy"] = "deploy"
    expectations: File
    """The suite, from the project's root."""
    data: File
    """A file of the stage's data."""


class Golden(Timed):
    """Inputs with the outputs that the model must give, within a tolerance."""

    kind: Literal["golden"] = "golden"
    samples: File
    """A table, or JSON (a list of `{"inputs": {...}, "expected": ...}`), from the root."""
    expected: Text = "expected"
    """The column with the outputs."""
    absolute: Annotated[Number, Field(ge=0)] = 0
    """How far off an output may be."""
    relative: Share = 0
    """How far off, as a share: `1%`, 0.01."""


class Safe(Timed):
    """Bytes as they were recorded, that hold only types known or trusted."""

    kind: Literal["safe"] = "safe"


Error: TypeAlias = Literal["mae", "mse", "rmse", "bias", "accuracy", "error_rate"]


class Fairness(Timed):
    """The model's error by group, on a file of the stage's data."""

    kind: Literal["fairness"] = "fairness"
    when: Literal["deploy"] = "deploy"
    data: File
    """A file of the stage's data."""
    target: Text
    """The column with what was true."""
    group: Text
    """The column whose values are the groups."""
    metric: Error
    """The error."""
    difference: Annotated[Number, Field(ge=0)] | None = None
    """How far groups may lie apart."""
    ratio: Annotated[Number, Field(ge=1)] | None = None
    """How many times another's one may be."""
    least_rows: int = Field(default=30, ge=1)
    """A smaller group is not judged."""

    @model_validator(mode="after")
    def _require_bound(self) -> Self:
        if self.difference is None and self.ratio is None:
            refuse_value("a `fairness` gate needs a bound", "write `ratio: 1.25` or `difference:`")
        return self


class Latency(Timed):
    """How long predicting takes: a percentile over a number of calls."""

    kind: Literal["latency"] = "latency"
    at_most: Duration
    """Such as `50ms`."""
    percentile: Literal["p50", "p95", "p99"] = "p95"
    samples: File | None = None
    """Rows from a file of the repository, from the project's root."""
    data: File | None = None
    """Rows from a file of the stage's data."""
    rows: int = Field(default=1, ge=1, le=1_000_000)
    """Rows in a call."""
    calls: int = Field(default=200, ge=1, le=100_000)
    warm_up: int = Field(default=20, ge=0, le=100_000)
    """Calls before those, which do not count."""

    @model_validator(mode="after")
    def _require_rows(self) -> Self:
        if (self.samples is None) == (self.data is None):
            refuse_value("a `latency` gate takes its rows from `samples` or from `data`")
        _has_data(self, self.data)
        return self


class Function(Timed):
    """The project's own: ``module:function``, from the commit whose policy judges.

    It is called with one mapping (docs/gates.md).
    """

    kind: Literal["function"] = "function"
    run: ModuleFunction
    """`module:function`, from the project's root."""
    model: bool = True
    """false: it does not need the version's bytes."""
    data: Annotated[tuple[File, ...], Field(strict=False)] = ()
    """Files of the stage's data that it needs."""
    environment: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """Variables that it gets; else only bare ones."""
    network: bool = False
    """true: it may connect."""

    @model_validator(mode="after")
    def _require_deploy(self) -> Self:
        _has_data(self, self.data)
        return self


def _has_data(gate: Gate, data: object) -> None:
    if data and gate.when == "review":
        refuse_value("a stage's data is not there on review", "write `when: deploy`")


AnyGate: TypeAlias = (
    Metric | NoWorse | SignatureGate | Soak | Expectations | Golden | Safe | Fairness | Latency
    | Function
)  # fmt: skip
KINDS: Mapping[str, type[Gate]] = kinds_of(AnyGate)
