"""A suite held against a table: the door to Great Expectations.

To import this is to import Great Expectations, without what a check of a table never uses. Its
import takes 3.5 s of CPU, the most of any step's. Half of it goes into three things that a suite
over a table rarely meets: ``scipy.stats`` and ``altair``, which a single expectation needs and
which are imported when that one is used; and the optional extras for SQL and S3, which are left
out as if they were not installed (measured: 1.7 s remain)."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from towpath.backends.great_expectations import suite_outcome
from towpath.backends.great_expectations.suite_outcome import (
    CheckOutcome,
    Expectation,
    Result,
    SampleRow,
    Suite,
)
from towpath.config.artifact import Json
from towpath.errors import did_you_mean

_DATE = re.compile(r"\d{4}-\d\d(-\d\d([T ].*)?)?")
_BOUNDED = frozenset(
    f"expect_column_{name}_to_be_between" for name in ("values", "min", "max", "mean", "median")
)
_BOUNDS = ("min_value", "max_value")
_LATER = ("altair", "scipy.stats")
_EXTRAS = ("sqlalchemy", "boto3", "botocore")


def _type_arguments(expectation: Expectation, frame: Any) -> tuple[dict[str, Any], Any]:
    """The arguments of an expectation in the types of the table's columns, and the column, where it
    is to be read as the bounds are meant. Raises ``ValueError``, whose words a person reads, where
    they cannot be held against each other."""
    arguments = dict(expectation.arguments)
    name = arguments.get("column")
    if not isinstance(name, str) or name not in frame.columns:
        return arguments, None
    column, read = frame[name], None
    keys = [key for key in _BOUNDS if isinstance(arguments.get(key), str | int | float)]
    if keys and expectation.type in _BOUNDED:
        # A column of text that spells times, as one of a CSV does, is read as the bounds are meant.
        if _infer_kind(column) == "string" and all(_is_date(arguments[key]) for key in keys):
            column = read = _read_times(column, name)
        arguments |= {key: _as_bound(arguments[key], column, name) for key in keys}
    members = arguments.get("value_set")
    if isinstance(members, list) and (kind := _held_kind(column)):
        arguments["value_set"] = _as_members(members, kind, column, name)
    return arguments, read


def _as_members(members: list[Any], kind: str, column: Any, name: str) -> list[Any]:
    # What may be in a set beside dates stays as it is, and is in no column of dates.
    return [_as_time(value, kind, column, name) if _is_date(value) else value for value in members]


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and bool(_DATE.fullmatch(value.strip()))


def _held_kind(column: Any) -> str:
    """Whether a column holds times or days (``time``, ``day``); empty for anything else."""
    kinds = {"datetime64": "time", "datetime": "time", "date": "day"}
    return kinds.get(_infer_kind(column), "")


def _infer_kind(column: Any) -> str:
    """What a column holds, in pandas' words. The first value speaks for a column of objects: one
    odd cell (an `n/a` among dates) makes it no other column, and is itself what a check finds."""
    import pandas

    values = column.dropna().head(1) if column.dtype == object else column
    return str(pandas.api.types.infer_dtype(values, skipna=True))


def _read_times(column: Any, name: str) -> Any:
    import pandas

    # In UTC where any has a zone: pandas makes no one column of times in several zones.
    texts = column.dropna()
    zoned = texts.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$", regex=True).any()
    times = pandas.to_datetime(texts, format="ISO8601", errors="coerce", utc=bool(zoned))
    if times.isna().any():
        text = texts[times.isna()].iloc[0]
        raise ValueError(f"`{name}` holds `{text}`, which is no date as 2026-01-31 is one")
    return times.reindex(column.index)


def _as_bound(value: Any, column: Any, name: str) -> Any:
    kind = _held_kind(column)
    if not kind:
        if _is_date(value) and column.dtype.kind in "iuf":
            raise ValueError(f"`{name}` holds numbers, and `{value}` is a date")
        return value
    if not isinstance(value, str):
        raise ValueError(f"`{name}` holds dates, and {value} is none")
    return _as_time(value, kind, column, name)


def _as_time(text: str, kind: str, column: Any, name: str) -> Any:
    import pandas

    try:
        time = pandas.Timestamp(text)
    except ValueError:
        raise ValueError(f"`{name}` holds dates, and `{text}` is none") from None
    if kind == "day":
        return time.date()
    first = next(iter(column.dropna()), None)
    zone = getattr(column.dtype, "tz", None) or getattr(first, "tzinfo", None)
    if zone is not None:
        return time.tz_localize(zone) if time.tzinfo is None else time.tz_convert(zone)
    if time.tzinfo is not None:
        raise ValueError(f"`{name}` holds times without a zone, and `{text}` has one")
    return time


def _import_lean() -> Any:
    imported = sys.modules.get("great_expectations")
    if imported is not None:
        return imported
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # else it calls home, from a step or a gate
    with _standing_in():
        module = importlib.import_module("great_expectations")
    logging.getLogger("great_expectations").propagate = False  # only its warnings are news
    return module


@contextlib.contextmanager
def _standing_in() -> Iterator[None]:
    # Whoever imports these names afterwards gets the real ones. `None` in sys.modules is Python's
    # own word for a module that cannot be imported.
    names = [name for name in (*_LATER, *_EXTRAS) if name not in sys.modules]
    for name in names:
        sys.modules[name] = _Later(name) if name in _LATER else None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in names:
            if sys.modules.get(name) is None or isinstance(sys.modules.get(name), _Later):
                sys.modules.pop(name, None)


class _Later(ModuleType):
    """A module that is imported when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # `inspect` and the import machinery ask each module for these
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


gx = _import_lean()
_SAMPLES = 5
_NUMBER = "towpath"  # the key in an expectation's notes that holds its number in the suite


def validate_suite(suite: Suite, frame: Any) -> CheckOutcome:
    """Hold a pandas table against a suite. An expectation that cannot be looked at has failed."""
    frame = frame.reset_index(drop=True)  # its samples are named by the index: 0, 1, 2 ...
    columns = [str(name) for name in frame.columns]
    absent = {
        number: missing
        for number, expectation in enumerate(suite.expectations)
        if (missing := [name for name in expectation.columns if name not in columns])
    }
    present = {n: e for n, e in enumerate(suite.expectations) if n not in absent}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own future, which is ours to see to
        answers = _validate_each(present, frame) if present else {}
    results = tuple(
        _absent_result(expectation, absent[number], columns)
        if number in absent
        else _build_result(expectation, answers[number], frame)
        for number, expectation in enumerate(suite.expectations)
    )
    return CheckOutcome(suite.name, suite.description, len(frame), len(columns), results)


def _validate_each(
    expectations: Mapping[int, Expectation], frame: Any
) -> dict[int, dict[str, Any]]:
    answers: dict[int, dict[str, Any]] = {}
    as_it_stands: dict[int, dict[str, Any]] = {}
    for number, expectation in expectations.items():
        try:
            arguments, column = _type_arguments(expectation, frame)
        except ValueError as error:
            answers[number] = {"success": False, "refused": str(error)}
            continue
        if column is None:
            as_it_stands[number] = arguments
        else:  # a table of its own: the others see the text
            other = frame.assign(**{arguments["column"]: column})
            answers |= _held_against(other, expectations, {number: arguments})
    return answers | _held_against(frame, expectations, as_it_stands)


def _held_against(
    frame: Any, expectations: Mapping[int, Expectation], typed: Mapping[int, dict[str, Any]]
) -> dict[int, dict[str, Any]]:
    if not typed:
        return {}
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    # Ephemeral: no folder of its own in the project, and nothing left of the call before.
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    asset = context.data_sources.add_pandas("table").add_dataframe_asset("table")
    batch = asset.add_batch_definition_whole_dataframe("table").get_batch({"dataframe": frame})
    answers: dict[int, dict[str, Any]] = {}
    sound = {}
    for number, kwargs in typed.items():
        kind = expectations[number].type
        try:
            # The number comes back with the answer, and says which expectation it is of.
            configuration = ExpectationConfiguration(kind, kwargs, meta={_NUMBER: number})
            sound[number] = configuration.to_domain_obj()
        except Exception as error:  # it says by itself what it does not take
            answers[number] = {"success": False, "refused": _first_line(error)}
    suite = gx.ExpectationSuite(name="table", expectations=list(sound.values()))
    answer = batch.validate(suite, result_format=_FORMAT) if sound else None
    for result in answer.results if answer else ():
        document = json.loads(json.dumps(result.to_json_dict(), default=_plain_value))
        answers[document["expectation_config"]["meta"][_NUMBER]] = document
    return answers


_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": _SAMPLES}


def _plain_value(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]


def _absent_result(expectation: Expectation, missing: list[str], columns: list[str]) -> Result:
    near = did_you_mean(missing[0], columns)
    listed = ", ".join(f"`{name}`" for name in missing)
    words = f"there is no column {listed}" + (f" ({near})" if near else "")
    return Result(**_expectation_fields(expectation), passed=False, error=words)


def _expectation_fields(expectation: Expectation) -> dict[str, Any]:
    return {
        "type": expectation.type,
        "column": next(iter(expectation.columns), None),
        "columns": tuple(expectation.columns),
        "rule": suite_outcome.describe_rule(expectation.type, expectation.arguments),
        "meaning": expectation.meaning,
        "severity": expectation.severity,
        "place": str(expectation.place),
    }


def _build_result(expectation: Expectation, answer: Mapping[str, Any], frame: Any) -> Result:
    inner: Mapping[str, Any] = answer.get("result") or {}
    percent, observed = inner.get("unexpected_percent"), inner.get("observed_value")
    return Result(
        **_expectation_fields(expectation),
        passed=bool(answer["success"]),
        rows=inner.get("element_count"),
        unexpected=inner.get("unexpected_count"),
        percent=None if percent is None else round(percent, 6),
        # The last digits of a sum depend on the machine, and the same data gives the same document.
        observed=round(observed, 12) if isinstance(observed, float) else observed,
        surplus=_list_difference(inner, "unexpected"),
        lacking=_list_difference(inner, "missing"),
        samples=tuple(_sample_rows(inner.get("partial_unexpected_index_list") or (), frame)),
        error=answer.get("refused") or _error_message(answer.get("exception_info") or {}),
    )


def _list_difference(inner: Mapping[str, Any], which: str) -> tuple[Json, ...]:
    """Of a set held against a column's values: those that one has and the other has not."""
    if "element_count" in inner:  # of rows, for which Great Expectations uses the same words
        return ()
    values = inner.get(f"partial_{which}_list") or ()
    return tuple(sorted(values, key=repr))  # of sets, which have no order


def _sample_rows(indices: Any, frame: Any) -> Iterator[SampleRow]:
    for index in list(indices)[:_SAMPLES]:
        row = json.loads(frame.iloc[[index]].to_json(orient="records", date_format="iso"))[0]
        yield SampleRow(int(index), row)


def _error_message(info: Mapping[str, Any]) -> str:
    # Great Expectations gives one for the whole, or one for each metric that it wanted.
    if "raised_exception" in info:
        return _first_line(info["exception_message"] or "") if info["raised_exception"] else ""
    messages = (str(metric.get("exception_message") or "") for metric in info.values())
    return next((_first_line(message) for message in messages), "")
