"""A table held against a baseline: the counts of an earlier one."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy
import pandas
import pytest

from towpath.backends.great_expectations.suite_outcome import result_sentence
from towpath.config.check_bounds import BaselineTolerances
from towpath.errors import Malformed, Refused, StepFailed
from towpath.steps.baseline_check import compare_with_baseline
from towpath.steps.table_profile import profile_table, read_profile

LIBRARIES = ("pandas",)
STEPS = ""
RANDOM = numpy.random.default_rng(0)
TABLE = pandas.DataFrame(
    {
        "age": RANDOM.normal(40, 10, 3000).round(1),
        "children": RANDOM.integers(0, 5, 3000),
        "sex": RANDOM.choice(["F", "M"], 3000),
        "member": RANDOM.choice([True, False], 3000),
        "since": pandas.date_range("2020-01-01", periods=3000, freq="h"),
        "note": [f"note {number}" for number in range(3000)],
    }
)


def profile(frame, rows=700, edges=None, names=None):
    def parts():
        return [frame.iloc[start : start + rows] for start in range(0, max(len(frame), 1), rows)]

    return profile_table(parts, edges or {}, names or {})


def held(frame, baseline=TABLE, **tolerances):
    """The sentences of what does not hold."""
    reference = read_profile(json.loads(json.dumps(profile(baseline).profile.document())))
    edges = {name: c.numbers.edges for name, c in reference.columns.items() if c.numbers}
    names = {name: c.categories.counts for name, c in reference.columns.items() if c.categories}
    declared = BaselineTolerances(**tolerances)
    table = profile(frame, edges=edges, names=names)
    results = compare_with_baseline(table, reference, declared)
    return [result_sentence(result) for result in results if not result.passed]


def test_a_table_in_parts_has_the_counts_of_the_whole():
    assert profile(TABLE, 7) == profile(TABLE, 10**6)
    columns = profile(TABLE).profile.columns
    assert [column.kind for column in columns.values()] == [
        "number", "integer", "text", "boolean", "time", "text",
    ]  # fmt: skip
    children = columns["children"].numbers
    assert children.edges == (0, 1, 2, 3, 4)
    assert children.counts[:-1] == tuple(TABLE.children.value_counts().sort_index())
    age = columns["age"].numbers
    for edge, below in zip(age.edges, numpy.cumsum(age.counts), strict=False):
        assert below == (TABLE.age <= edge).sum()
    assert columns["since"].times == ("2020-01-01 00:00:00", "2020-05-04 23:00:00")


def test_the_distance_is_that_of_kolmogorov_and_smirnov():
    from scipy.stats import ks_2samp

    other = pandas.DataFrame({"age": RANDOM.normal(44, 12, 2000).round(1)})
    [sentence] = held(other, TABLE[["age"]])
    ours = float(sentence.partition("it is ")[2].partition(" from")[0])
    # At 41 edges and not at each value.
    assert ours == pytest.approx(ks_2samp(TABLE.age, other.age).statistic, abs=0.025)


def test_the_same_and_alike_tables_hold():
    assert held(TABLE) == []
    assert held(TABLE.sample(1000, random_state=1)) == []
    assert held(TABLE.sample(20, random_state=1), completeness=0) == []  # few rows differ by chance
    # An integer column with gaps is read as floats, and is none the less of whole numbers.
    gaps = TABLE.assign(children=TABLE.children.astype(float).where(TABLE.children.index % 60 > 0))
    assert held(gaps) == []


CHANGED = {
    "a column that is gone": (
        TABLE.drop(columns="age").assign(agee=TABLE.age),
        {"new_columns": True},
        "there is no column `age` (did you mean `agee`?)",
    ),
    "a new column": (TABLE.assign(other=1), {}, "but there are others: `other`"),
    "a type that changed": (
        TABLE.assign(children=TABLE.children.astype(str)),
        {},
        "`children` is there, and is whole numbers, but it is text",
    ),
    "fractions": (TABLE.assign(children=TABLE.children + 0.5), {}, "but it is numbers"),
    "an all-null column": (
        TABLE.assign(age=None),
        {},
        "`age` has a value in at least 98 % of rows (100 % in the baseline), but it is 0 %",
    ),
    "some nulls": (TABLE.assign(sex=TABLE.sex.where(TABLE.index % 20 > 0)), {}, "it is 95 %"),
    "a distribution": (
        TABLE.assign(age=TABLE.age + 15),
        {},
        "the distribution of `age` is at most 0.1 from the baseline's, but it is 0.5",
    ),
    "its own tolerance": (
        TABLE.assign(age=TABLE.age + 2),
        {"columns": {"age": {"distribution": 0.05}}},
        "at most 0.05 from",
    ),
    "shares": (
        TABLE.assign(sex="F"),
        {},
        "`sex` is at most 0.1 from the baseline's, but it is 0.",
    ),
    "new values": (
        TABLE.assign(sex=TABLE.sex.where(TABLE.index % 20 > 0, "x")),
        {},
        "`sex` takes values of the baseline, in at least 99 % of rows, but it takes x",
    ),
    "no rows": (TABLE.iloc[:0], {}, "expected that the table has rows, but it has none"),
    "fewer rows": (
        TABLE.iloc[:900],
        {"rows": 0.5},
        "the number of rows is 1,500 to 4,500 (3,000 in the baseline), but it is 900",
    ),
    "a typo in the tolerances": (
        TABLE,
        {"columns": {"aeg": {"distribution": 0.05}}},
        "there is no column `aeg` (did you mean `age`?)",
    ),
}


@pytest.mark.parametrize(("frame", "tolerances", "words"), CHANGED.values(), ids=CHANGED)
def test_what_changed_is_told(frame, tolerances, words):
    sentences = held(frame, **tolerances)
    assert len(sentences) == 1
    assert words in sentences[0]


def test_more_texts_than_are_counted_are_held_too():
    notes = pandas.DataFrame({"note": [f"note {number}" for number in range(11_000)]})
    sexes = pandas.DataFrame({"note": ["F", "M"] * 5_500})
    [new, moved] = held(notes, sexes)
    assert new.endswith("but 100 % of its values are others: it has more than 10,000")
    assert "the distribution of `note` is at most 0.1 from the baseline's, but it is 1" in moved
    assert held(notes, sexes, new_values=1, distribution=1) == []
    few = pandas.concat([sexes] * 100 + [notes])  # 1 % of its rows, and counted after the others
    assert held(few, sexes) == []
    assert held(notes, notes[:9_000]) == []  # names and identities that became more


def test_values_that_are_hard_to_count():
    odd = pandas.DataFrame(
        {
            "infinite": [1.0, numpy.inf, -numpy.inf, 2.5],
            "nothing": [None] * 4,
            "lists": [[1], [2], [3], [4]],
            "mixed": [1, "a", None, 2.5],
            "days": pandas.Series([pandas.Timestamp("2020-01-01").date()] * 4, dtype=object),
            3: pandas.Categorical(["a", "b", "a", None]),
        }
    )
    columns = profile(odd, 4).profile.columns
    kinds = [column.kind for column in columns.values()]
    assert kinds == ["number", "empty", "other", "other", "time", "text"]
    assert columns["infinite"].numbers.counts == (1, 1, 0)
    assert columns["3"].present == 3
    assert held(odd, odd) == []
    with pytest.raises(StepFailed, match="two columns are called `a`"):
        profile(pandas.DataFrame([[1, 2]], columns=["a", "a"]))


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"version": 2},
        {"version": 1, "rows": -1},
        {"version": 1, "rows": 1, "columns": {"a": {"type": "text", "present": 2}}},
        {"version": 1, "rows": 1, "columns": {"a": {"type": "txt", "present": 1}}},
        {"version": 1, "rows": 9, "columns": {"a": {
            "type": "number", "present": 9, "edges": [2, 1], "counts": [1, 1, 1],
            "least": 1, "greatest": 2, "mean": 1}}},
    ],
)  # fmt: skip
def test_a_document_that_is_no_baseline_is_refused(wrong):
    with pytest.raises(Malformed):
        read_profile(wrong)


@pytest.fixture
def project(warm_project):
    warm_project.lines.clear()
    return warm_project


def check(project, table, baseline=None, **step):
    data = project.put("raw.csv", table.to_csv(index=False))
    inputs = {"data": "raw", "baseline": "before"}
    order = project.order(
        None, (), {"data": data, "baseline": baseline}, kind="quality_check", inputs=inputs,
        **{"baseline": True, **step},
    )  # fmt: skip
    return SimpleNamespace(data=data, order=order, call=lambda: project.call(order))


def test_a_check_makes_the_first_baseline_and_holds_what_comes_later_against_it(project):
    columns = TABLE.drop(columns=["note", "since"])
    first = check(project, columns)
    made = first.call()
    assert "there is no baseline yet: this check makes the first" in project.lines
    assert made.outputs["data"] == first.data
    assert made.facts["check"] == {"passed": True, "held": 1, "failed": 0, "warned": 0}
    baseline = made.outputs["baseline"]
    assert json.loads(project.read(baseline)) == made.values["baseline"]

    again = check(project, columns, baseline).call()
    assert again.outputs["baseline"] == baseline  # the same data, the same counts
    assert "held   the columns are those of the baseline" in project.lines
    part_of_json = check(project, columns, made.values["baseline"]).call()
    assert part_of_json.values["result"] == again.values["result"]

    moved = check(project, columns.assign(age=columns.age + 15), baseline)
    with pytest.raises(Refused, match="the distribution of `age`") as refused:
        moved.call()
    proposed = moved.order.directory / "baseline.json"
    assert "baseline.json" in str(refused.value.faults[-1])
    assert json.loads(proposed.read_text())["columns"]["age"]["mean"] > 50
    only_said = check(project, columns.assign(age=columns.age + 15), baseline, must_pass=False)
    result = only_said.call()
    assert result.values["result"]["counts"]["failed"] == 1
    assert "the distribution of" in project.read(result.outputs["page"]).decode()


def test_what_is_no_baseline_is_told(project):
    small = TABLE[["sex"]].head()
    for content, words in (
        (project.put("b.csv", "a\n1\n"), "b.csv is no baseline: it is no JSON"),
        (project.put("b.json", '{"mse": 1}'), "b.json is no baseline: `version` is missing"),
        ({"rows": 3}, "the baseline is no baseline: `version` is missing"),
    ):
        with pytest.raises(StepFailed, match=words):
            check(project, small, content).call()


def test_with_a_suite_both_are_asked(project):
    project.write(
        "flows/training/expectations/raw.yaml",
        """
        name: raw
        expectations:
          - {type: expect_column_values_to_be_in_set, column: sex, value_set: [F, M]}
        """,
    )
    made = check(project, TABLE[["sex"]], expectations="expectations/raw.yaml").call()
    assert made.values["result"]["counts"]["held"] == 2
    assert made.values["result"]["suite"] == "raw"
