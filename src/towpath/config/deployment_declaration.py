"""A deployment as `prefect.yaml` declares it: what Prefect reads of it, and what Towpath adds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from towpath.config import names_and_paths as grammar
from towpath.config.declaration import Declaration, ShortForm, one_or_more, show_value
from towpath.errors import did_you_mean

_CRON_FIELDS = (
    ("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7),
    ("second", 0, 59),
)  # fmt: skip
_CRON_WORDS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat"
_CRON_PART = re.compile(
    rf"(\*|\?|l|(?:\d+|{_CRON_WORDS}|l)(?:-(?:\d+|{_CRON_WORDS}))?(?:#[1-5l])?)(?:/[1-9]\d*)?",
    re.IGNORECASE | re.ASCII,
)
_CRON_ALIASES = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_CRON_HINT = "such as `0 5 * * *`: minute, hour, day, month, weekday"


def check_cron(text: str) -> str:
    """A schedule in cron's words, of five fields or, with seconds, six."""
    if text in _CRON_ALIASES:
        return text
    fields = text.split()
    if len(fields) not in (5, 6):
        refused = f"`{text}` is no schedule of cron's: it has {len(fields)} of 5 fields"
        grammar.refuse_value(refused, _CRON_HINT)
    for field_text, (field_name, least, most) in zip(fields, _CRON_FIELDS, strict=False):
        parts = field_text.split(",")
        numbers = [int(n) for part in parts for n in re.findall(r"\d+", re.split("[/#]", part)[0])]
        is_sound = all(_CRON_PART.fullmatch(part) for part in parts)
        if not is_sound or not all(least <= number <= most for number in numbers):
            refused = f"`{text}` is no schedule of cron's: {field_name} `{field_text}`"
            grammar.refuse_value(refused, _CRON_HINT)
    return text


def check_time_zone(text: str) -> str:
    """A time zone of the IANA's."""
    zones = available_timezones()
    if text not in zones:
        by_case = next((zone for zone in zones if zone.lower() == text.lower()), None)
        hint = f"write `{by_case}`" if by_case else did_you_mean(text, zones)
        grammar.refuse_value(f"there is no time zone `{text}`", hint or "such as `Europe/Berlin`")
    return text


def parse_interval(value: Any) -> Any:
    """Seconds out of what Prefect takes: ``3600``, ``PT1H``, ``"01:00:00"``."""
    if not isinstance(value, str):
        return value
    try:
        return TypeAdapter(timedelta).validate_python(value).total_seconds()
    except ValidationError:
        pass
    hint = "write seconds, as `3600`, or `PT1H`"
    if re.fullmatch(r"(\d+(\.\d+)? ?(ms|s|m|h|d|w) ?)+", value):
        hint = f"Prefect reads seconds: write `{grammar.parse_duration(value):g}`"
    return grammar.refuse_value(f"`{value}` is no interval", hint)


def check_moment(text: str) -> str:
    """A date, or a date and a time, as ISO 8601 writes it."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        grammar.refuse_value(f"`{text}` is no date", "write `2026-12-24T05:00:00Z`")
    return text


change_source = grammar.Grammar(
    rf"{grammar.OUTPUT_REFERENCE}|[a-z0-9-]+#[a-z0-9]([a-z0-9-]*[a-z0-9])?",
    "{} names nothing that changes",
    "write `pipeline:step.output`, or `model#stage`",
)


def one_reaction(value: Any) -> Any:
    """One reaction, or a list: ``slack-webhook/alerts`` is ``{notify: slack-webhook/alerts}``."""
    listed = value if isinstance(value, list | tuple) else [value]
    return tuple({"notify": item} if isinstance(item, str) else item for item in listed)


class ScheduleDeclaration(Declaration):
    """When a deployment runs by itself."""

    cron: Annotated[str, AfterValidator(check_cron)] | None = None
    """In cron's words."""
    interval: Annotated[float, Field(gt=0), BeforeValidator(parse_interval)] | None = None
    """In seconds."""
    rrule: str | None = Field(default=None, min_length=1)
    """As a rule of RFC 5545."""
    timezone: Annotated[str, AfterValidator(check_time_zone)] | None = None
    """Where its hours are counted; by default UTC."""
    anchor_date: Annotated[str, AfterValidator(check_moment)] | None = None
    """When an interval begins to be counted; by default its zone's midnight."""
    active: bool = True
    """Whether it is in force."""
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    """What its runs take over the deployment's parameters."""
    slug: str | None = Field(default=None, min_length=1)
    """Its name."""
    replaces: str | None = None
    """The slug that it had."""
    day_or: bool = True
    """Whether day or weekday is enough, as in cron; else both must fit."""

    @model_validator(mode="after")
    def _require_one_kind(self) -> Self:
        kinds = [kind for kind in ("cron", "interval", "rrule") if getattr(self, kind) is not None]
        if len(kinds) != 1:
            what = f"a schedule has one of `cron`, `interval` and `rrule`, not {len(kinds)}"
            grammar.refuse_value(what, 'write `{cron: "0 5 * * *", timezone: Europe/Berlin}`')
        return self


class WorkPoolChoice(Declaration):
    """Which workers take a deployment's runs."""

    name: str | None = Field(default=None, min_length=1)
    """The work pool."""
    work_queue_name: str | None = Field(default=None, min_length=1)
    """A queue of its."""
    job_variables: Mapping[str, Any] = Field(default_factory=dict)
    """What the pool's template takes: `image`, `env`, `memory`, ..."""


class ConcurrencyLimit(Declaration):
    """How many runs of a deployment go on at once."""

    limit: int = Field(ge=1)
    """The most."""
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"
    """Whether one more waits, or is cancelled."""
    grace_period_seconds: int | None = Field(default=None, ge=60, le=86400)
    """For how long a run that begins may hold its place before it is there."""


class Reaction(Declaration):
    """What is done when something happened to a deployment: one of these."""

    notify: grammar.NotificationBlock | None = None
    """A block of Prefect's that tells somebody."""
    run: str | None = None
    """A deployment that is run, as `flow/name`."""
    pause: Literal[True] | None = None
    """The deployment itself is paused."""

    @model_validator(mode="after")
    def _require_one_deed(self) -> Self:
        if len(self.model_fields_set) != 1:
            hint = "write `slack-webhook/alerts`, `{run: flow/name}` or `{pause: true}`"
            grammar.refuse_value("a reaction does one thing", hint)
        if self.run is not None and not re.fullmatch("[^/]+/[^/]+", self.run):
            grammar.refuse_value(f"`{self.run}` names no deployment", "write `flow/name`")
        return self


Reactions: TypeAlias = Annotated[
    tuple[Reaction, ...], Field(strict=False), BeforeValidator(one_reaction)
]
ChangeSources: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(change_source)], ...],
    Field(strict=False),
    BeforeValidator(one_or_more),
]
Tags: TypeAlias = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    Field(strict=False),
    BeforeValidator(one_or_more),
]


def check_entrypoint(text: str) -> str:
    """A flow by its file from the folder of `prefect.yaml`: ``flows/training/flow.py:training``."""
    path, colon, function = text.rpartition(":")
    if not colon or not path.endswith(".py") or not function.isidentifier():
        grammar.refuse_value(f"`{text}` names no flow", "write `flows/training/flow.py:training`")
    return text


def check_deployment_name(text: str) -> str:
    """A name that Prefect takes for a deployment."""
    if not text.strip() or not text.isprintable() or re.search("[/%&><]", text):
        grammar.refuse_value(f"`{text}` is no name of a deployment", "write `dev`, without `/`")
    return text


class FlowDeployment(Declaration):
    """A deployment of a flow. What Prefect does not read (`on_failure`, `on_drift`, `on_change`)
    it passes over."""

    HOW: ClassVar[Mapping[str, str]] = {
        "name": "write `name: dev`; a pipeline's environment of that name is taken",
        "entrypoint": "write `entrypoint: flows/training/flow.py:training`",
    }

    name: Annotated[str, AfterValidator(check_deployment_name)]
    """Its name: `dev` of `training/dev`."""
    entrypoint: Annotated[str, AfterValidator(check_entrypoint)]
    """The flow."""
    flow_name: str | None = None
    """For Prefect alone: the flow knows its name."""
    description: str | None = None
    """By default the flow's."""
    version: str | None = None
    """Any words of yours."""
    version_type: str | None = None
    """For Prefect alone."""
    tags: Tags = ()
    """Labels in Prefect's pages."""
    parameters: Mapping[str, Any] = Field(default_factory=dict)
    """What its runs take over the pipeline's defaults: parameters, and inputs by their paths."""
    schedule: ScheduleDeclaration | None = None
    """When it runs by itself."""
    schedules: Annotated[tuple[ScheduleDeclaration, ...], Field(strict=False)] = ()
    """The same, several."""
    paused: bool | None = None
    """Whether its schedules rest."""
    concurrency_limit: (
        Annotated[ConcurrencyLimit, BeforeValidator(ShortForm(int, "limit"))] | None
    ) = None
    """How many of its runs go on at once."""
    enforce_parameter_schema: bool = True
    """Whether Prefect refuses parameters that the flow does not take."""
    work_pool: WorkPoolChoice = Field(default_factory=WorkPoolChoice)
    """Who takes its runs; by default the stage's pool, or `towpath`."""
    pull: Any = None
    """The steps by which a worker comes to the code; by default it stands in the project's
    folder."""
    build: Any = None
    """For `prefect deploy` alone."""
    push: Any = None
    """For `prefect deploy` alone."""
    triggers: Annotated[tuple[Mapping[str, Any], ...], Field(strict=False)] = ()
    """Prefect's triggers: events at which it runs."""
    sla: Any = None
    """For Prefect's cloud alone."""
    on_failure: Reactions = ()
    """What is done when a run failed, crashed or took too long."""
    on_drift: Reactions = ()
    """What is done when a run found that a stage is not as it should be."""
    on_change: ChangeSources = ()
    """Outputs of other pipelines, and stages of models: where one changes, it runs."""

    @property
    def all_schedules(self) -> tuple[ScheduleDeclaration, ...]:
        """Its schedules, in order."""
        return (*((self.schedule,) if self.schedule else ()), *self.schedules)

    @model_validator(mode="after")
    def _refuse_two_ways(self) -> Self:
        slugs = [schedule.slug for schedule in self.all_schedules if schedule.slug]
        if twice := next((slug for slug in slugs if slugs.count(slug) > 1), None):
            grammar.refuse_value(f"two schedules have the slug `{twice}`")
        if self.pull is not None and not isinstance(self.pull, list | tuple | Mapping):
            grammar.refuse_value(f"`pull` must be a list, not {show_value(self.pull)}")
        return self
