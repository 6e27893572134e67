"""Counts a table's outcomes by group: labels, and predictions where there are any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field

from towpath.errors import Fault, StepFailed, did_you_mean
from towpath.steps.bias_measures import OutcomeCounts

if TYPE_CHECKING:
    from towpath.config.pipeline_declaration import BiasCheck

NO_GROUP = "(none)"
"""The group of rows without a value in the group's column."""
_MOST_GROUPS = 100  # more are no groups: a column of numbers or identities was named
_SHOWN = 5
_OUTCOMES = {
    (True, True): "true_positive", (False, True): "false_positive",
    (True, False): "false_negative", (False, False): "true_negative",
}  # fmt: skip


class GroupTally(Struct):
    """The outcomes of each group, by column; ``rows`` and ``columns`` are the table's."""

    outcomes: dict[str, dict[str, OutcomeCounts]] = field(default_factory=dict)
    rows: int = 0
    columns: int = 0


def tally_groups(
    parts: Iterable[Any], step: BiasCheck, predict: Callable[[Any], Any] | None
) -> GroupTally:
    """Count a table, a part at a time. ``predict`` gives a model's predictions for one.

    :raises StepFailed: where a column is not there, a label or a prediction is missing or of
        another kind than ``positive`` says, or the groups are none.
    """
    reader = _OutcomeReader(step)
    counts: dict[str, Counter[tuple[str, bool, bool]]] = {name: Counter() for name in step.group}
    tally = GroupTally()
    for part in parts:
        tally.rows, tally.columns = tally.rows + len(part), len(part.columns)
        _require_columns(part, step)
        labels = reader.read_labels(part)
        predictions = reader.read_predictions(part, predict)
        for name in step.group:
            groups = _group_names(part[name])
            counts[name].update(zip(groups, labels, predictions, strict=True))
            if len({group for group, *_ in counts[name]}) > _MOST_GROUPS:
                what = f"`{name}` has more than {_MOST_GROUPS} values, which are no groups"
                raise StepFailed(what, hint="a step before this one may put it into bands")
    reader.require_positive()
    reader.require_like_answers()
    tally.outcomes = {name: _sum_outcomes(counted) for name, counted in counts.items()}
    _require_groups(tally, step)
    return tally


def _sum_outcomes(counted: Counter[tuple[str, bool, bool]]) -> dict[str, OutcomeCounts]:
    outcomes: dict[str, OutcomeCounts] = {}
    for (group, label, prediction), count in counted.items():
        more = OutcomeCounts(**{_OUTCOMES[label, prediction]: count})
        outcomes[group] = outcomes.get(group, OutcomeCounts()) + more
    return dict(sorted(outcomes.items()))


def _require_columns(part: Any, step: BiasCheck) -> None:
    names = [*step.group, step.label, *([step.prediction] if step.prediction else [])]
    faults = []
    for name in dict.fromkeys(names):
        if name not in part.columns:
            near = did_you_mean(name, [str(column) for column in part.columns])
            faults.append(Fault(f"there is no column `{name}`", hint=near))
    if faults:
        raise StepFailed(*faults)


def _require_groups(tally: GroupTally, step: BiasCheck) -> None:
    if not tally.rows:
        raise StepFailed("the table has no rows: nothing can be said of its groups")
    for name, outcomes in tally.outcomes.items():
        if len(outcomes) < 2:
            what = f"`{name}` has one value, {next(iter(outcomes))}: there are no groups to compare"
            raise StepFailed(what)
        reference = None if step.reference is None else group_name(step.reference)
        if reference is not None and reference not in outcomes:
            near = did_you_mean(reference, outcomes) or f"it has {', '.join(outcomes)}"
            raise StepFailed(f"`{name}` has no group `{reference}`", hint=near)


def _group_names(column: Any) -> list[str]:
    # As objects: a categorical column refuses a name that is none of its categories.
    return [NO_GROUP if value is None else group_name(value) for value in _plain_values(column)]


def group_name(value: Any) -> str:
    """A group as text. A column of whole numbers with gaps is read as floats, and means 1."""
    is_whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if is_whole else str(value)


def _plain_values(column: Any) -> list[Any]:
    """The values of a column, None for each that is missing."""
    values: list[Any] = column.astype(object).where(column.notna(), None).tolist()
    return values


_ANSWER = "the model's prediction"
_THRESHOLD_HINT = "if these are probabilities, say from which on they are positive: `threshold:`"


class _OutcomeReader:
    """Tells positive outcomes from others, by what the step says of them."""

    def __init__(self, step: BiasCheck) -> None:
        self._step = step
        self._labels_met: set[Any] = set()
        self._was_positive = False
        self._answers_met: set[Any] = set()
        self._is_answer_positive = False

    def read_labels(self, part: Any) -> list[bool]:
        label = self._step.label
        values = self._require_values(part[label], label)
        if len(self._labels_met) <= _MOST_GROUPS:
            self._labels_met.update(values)
        outcomes = self._outcomes(values, label)
        self._was_positive = self._was_positive or any(outcomes)
        return outcomes

    def read_predictions(self, part: Any, predict: Callable[[Any], Any] | None) -> list[bool]:
        step = self._step
        if predict:
            import pandas

            predictions = pandas.Series(list(predict(part)) if len(part) else [], dtype=object)
            return self._read_answers(predictions, _ANSWER)
        if not step.prediction:
            return [False] * len(part)
        if step.threshold is None:
            return self._read_answers(part[step.prediction], step.prediction)
        values = self._require_values(part[step.prediction], step.prediction)
        try:
            return [float(value) >= step.threshold for value in values]
        except (TypeError, ValueError):
            what = f"`{step.prediction}` holds what is no number, and `threshold` bounds numbers"
            raise StepFailed(what) from None

    def _read_answers(self, column: Any, name: str) -> list[bool]:
        values = self._require_values(column, name)
        outcomes = self._outcomes(values, name)
        if len(self._answers_met) <= _MOST_GROUPS:
            # A list goes into no set, and is no label.
            self._answers_met.update(v if isinstance(v, Hashable) else str(v) for v in values)
        self._is_answer_positive = self._is_answer_positive or any(outcomes)
        return outcomes

    def require_positive(self) -> None:
        """Refuse a table in which no label is what ``positive`` says: it is a typo."""
        if self._step.positive is None or self._was_positive or not self._labels_met:
            return
        texts = sorted(map(str, self._labels_met))
        shown = ", ".join(map(str, self._step.positive))
        near = did_you_mean(shown, texts) or f"its values are {_list_values(texts)}"
        raise StepFailed(f"no row has `{self._step.label}` {shown}", hint=near)

    def require_like_answers(self) -> None:
        """Refuse predictions of another kind than the labels: all would count as negative."""
        step, answers, labels = self._step, self._answers_met, self._labels_met
        if step.positive is None or self._is_answer_positive or not answers:
            return
        if answers & labels or len(labels) > _MOST_GROUPS:  # of so many not all were kept
            return
        held = [_list_values(sorted(map(str, values))) for values in (answers, labels)]
        where = f"`{step.prediction}`" if step.prediction else _ANSWER
        what = f"{where} holds {held[0]}; `{step.label}` holds {held[1]}"
        hint = "`positive` is of both: a step before this one may make them alike"
        if step.prediction and all(isinstance(value, float) for value in answers):
            hint = _THRESHOLD_HINT
        raise StepFailed(what, hint=hint)

    def _require_values(self, column: Any, name: str) -> list[Any]:
        values = _plain_values(column)
        missing = sum(value is None for value in values)
        if missing:
            where = f"`{name}`" if name in (self._step.label, self._step.prediction) else name
            what = f"{where} has no value in {missing:,} of {len(values):,} rows"
            raise StepFailed(what, hint="leave such rows out in a step before this one")
        return values

    def _outcomes(self, values: list[Any], name: str) -> list[bool]:
        positive = self._step.positive
        if positive is not None:
            return [value in positive for value in values]
        others = {value for value in values if value not in (0, 1)}
        if not others:
            return [value == 1 for value in values]
        where = f"`{name}`" if name in (self._step.label, self._step.prediction) else name
        texts = sorted(map(str, others))
        hint = f"say which of its values is positive: `positive: {texts[-1]}`"
        if name == self._step.prediction and all(isinstance(v, float) for v in others):
            hint = _THRESHOLD_HINT
        raise StepFailed(f"{where} holds {_list_values(texts)}, and not 0 and 1 alone", hint=hint)


def _list_values(texts: list[str]) -> str:
    more = f" and {len(texts) - _SHOWN:,} more" if len(texts) > _SHOWN else ""
    return ", ".join(text[:40] for text in texts[:_SHOWN]) + more
