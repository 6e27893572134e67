"""Steps of the kind `duckdb`: tables of tables by SQL, what it may not do, and what is reused."""

from __future__ import annotations

import json

import pandas
import pytest

from running import FOLDER, Project
from towpath.planning.pipeline_check import find_pipeline_faults

PIPELINE = """
params: {least: 10, zones: [a, b]}
inputs:
  trips: data/trips/
  names: {path: data/names.csv, separator: ";", decimal: ",", types: {zone: string}}
steps:
  totals:
    kind: duckdb
    sql: totals.sql
    memory: 300MB
    inputs: [trips, names]
    params: [least, zones]
    outputs: [totals.parquet, top.json]
  shown:
    kind: duckdb
    sql: |
      -- what a person reads
      SELECT name, total
      FROM totals
      WHERE total > $above
      ORDER BY total DESC
    inputs: [totals.totals]
    with: {above: 0}
    outputs: [shown.csv]
  wide:
    kind: duckdb
    sql: PIVOT totals ON name USING sum(total)
    inputs: [totals.totals]
    outputs: [wide.tsv]
  enough:
    kind: condition
    if: totals.top[0].total > 30
    then: [told]
  told: {kind: stop, message: "{totals.top}"}
"""
SQL = """\
CREATE TABLE totals AS
  SELECT name, sum(fare * factor) AS total
  FROM trips JOIN names USING (zone)
  WHERE fare >= $least AND list_contains($zones, zone)
  GROUP BY name ORDER BY name;

CREATE VIEW top AS SELECT * FROM totals ORDER BY total DESC LIMIT 1
"""


def declare(project: Project, sql: str = SQL, pipeline: str = PIPELINE) -> None:
    project.declare(pipeline)
    project.write(f"{FOLDER}/totals.sql", sql)
    trips = project.root / "data/trips"
    trips.mkdir(parents=True, exist_ok=True)
    pandas.DataFrame({"zone": ["a", "b"], "fare": [10.0, 20.0]}).to_parquet(trips / "1.parquet")
    pandas.DataFrame({"zone": ["a", "c"], "fare": [4.0, 99.0]}).to_parquet(trips / "2.parquet")
    project.write("data/names.csv", "zone;name;factor\na;Åby;1,5\nb;Berg;2\nc;Cape;\n")


def test_sql_in_a_pipeline(project: Project) -> None:
    declare(project)
    project.commit()
    run = project.run()
    assert {name: str(step.state) for name, step in run.steps.items()} == {
        "totals": "done", "shown": "done", "wide": "done", "enough": "done", "told": "done",
    }, run.error  # fmt: skip
    made = project.store.path(run.steps["shown"].made.outputs["shown"].digest).read_text()
    assert made == "name,total\nBerg,40.0\nÅby,15.0\n"
    wide = project.store.path(run.steps["wide"].made.outputs["wide"].digest).read_text()
    assert wide == "Berg\tÅby\n40.0\t15.0\n"
    top = project.store.path(run.steps["totals"].made.outputs["top"].digest).read_text()
    assert json.loads(top) == [{"name": "Berg", "total": 40.0}]
    project.assert_whole()
    kept = {path.name for path in (project.workspace.runs / run.id / "totals").iterdir()}
    assert kept == {"log.txt"}
    assert project.plan()["shown"].startswith("reuse: ")
    assert project.plan(params={"least": 3})["totals"] == "run: `least` 10 -> 3"
    project.edit(f"{FOLDER}/totals.sql", "LIMIT 1", "LIMIT 2")
    assert project.plan()["totals"] == "run: code of `totals.sql` changed"
    project.edit(f"{FOLDER}/totals.sql", "LIMIT 2", "LIMIT 1")
    assert project.plan()["totals"].startswith("reuse: ")
    drawn = project.towpath("graph").out
    assert "duckdb" in drawn and "makes totals, top" in drawn


DECLARED = """
inputs: {names: {path: data/names.csv, separator: ";", decimal: ","}}
steps:
  inline:
    kind: duckdb
    inputs: [names]
    outputs: [out.csv]
    sql: >-
      SELECT name,
        foo(factor)
      FROM names"""

FAILING = [
    ("SELECT nme\nFROM names", "1: Binder Error: Referenced column"),
    (
        "CREATE VIEW v AS FROM names;\n\n-- a\nSELECT name::INTEGER AS n\nFROM names",
        "4: Conversion Error",
    ),
    (
        "SELECT * FROM names,\n 'data/names.csv'",
        "1: Permission Error: Cannot access file",
    ),
    ("FROM names,\nglob('/etc/*')", "2: Permission Error: Cannot access file"),
    ("FROM names,\nread_csv('https://a.org/b.csv')", "2: Permission Error"),
    (
        "CREATE SECRET s (TYPE s3, KEY_ID 'a');FROM names",
        "1: Invalid Input Error: Secret",
    ),
    ("CREATE VIEW out AS FROM names;\nDROP VIEW out", "2: the SQL makes no table `out`"),
    (
        "SELECT name,\n error('stop here') FROM names",
        "1: Invalid Input Error: stop here",
    ),
]


def test_sql_that_fails_is_told_with_its_line(loose: Project) -> None:
    form = "{{kind: duckdb, sql: s{0}.sql, inputs: [names], outputs: {{out: out.csv}}}}"
    steps = [f"  s{number}: {form.format(number)}" for number in range(len(FAILING))]
    declare(loose, SQL, "\n".join((DECLARED, *steps)))
    for number, (sql, _) in enumerate(FAILING):
        loose.write(f"{FOLDER}/s{number}.sql", sql)
    run = loose.run()
    said = {name: step.error[0] for name, step in run.steps.items()}
    assert said.pop("inline") == (
        f"{FOLDER}/pipeline.yaml:10: Catalog Error: Scalar Function with name foo does not exist!"
        ' (Did you mean "floor"?)'
    )
    for number, (_, expected) in enumerate(FAILING):
        assert said[f"s{number}"].startswith(f"{FOLDER}/s{number}.sql:{expected}"), said
    assert not list(loose.workspace.runs.glob("*/*/spill"))


FAULTS = [
    ("SELECT *\nFRM trips", "totals.sql:2: Parser Error: syntax error at or near"),
    ("-- nothing\n", "totals.sql:1: there is no statement in the SQL"),
    (SQL.replace("$least", "$leest"), "totals.sql:1: nothing gives the parameter `$leest`"),
    ("FROM trips WHERE fare > ?", "totals.sql:1: the parameter 1 has no name"),
    (SQL.replace("$least", "10"), "pipeline.yaml:12: the SQL does not use `$least`"),
    (SQL.replace("JOIN names USING (zone)", ""), "pipeline.yaml:11: the SQL does not use `names`"),
    (SQL.replace("VIEW top", "VIEW tops"), "pipeline.yaml:13: the SQL makes no table `top` (did"),
    (f"{SQL};\n\nCOPY totals TO '/tmp/x'", "totals.sql:10: `COPY` is nothing that a step of kind"),
    (f"{SQL};\nSET memory_limit = '9GB'", "totals.sql:9: `SET` is nothing"),
    (f"{SQL};\nATTACH '/tmp/x.db'", "totals.sql:9: `ATTACH` is nothing"),
    (SQL.replace("VIEW top AS", "VIEW top AS SELECT $least UNION"), "a view takes no parameter"),
    # With ANALYZE it would be carried out, over the bytes of an input.
    (f"{SQL};\nEXPLAIN ANALYZE COPY totals TO '/tmp/x'", "totals.sql:9: `EXPLAIN` is nothing"),
    (f"SELECT 1;\n{SQL}", "totals.sql:1: what this query gives goes nowhere"),
    (f"INSTALL httpfs;\n{SQL}", "totals.sql:1: `INSTALL` is nothing"),
]


@pytest.mark.parametrize(("sql", "said"), FAULTS)
def test_check_reads_the_sql(loose: Project, sql: str, said: str) -> None:
    declare(loose, sql)
    faults = [str(fault) for fault in find_pipeline_faults(loose.workspace, "training")]
    assert any(said in fault for fault in faults), faults
