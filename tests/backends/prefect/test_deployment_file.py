"""What `prefect.yaml` may say of deployments, and what is wrong with it, with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from running import FOLDER, Project, make
from towpath.backends.prefect.deployment_file import (
    find_deployment_faults,
    read_declared_deployments,
)

FLOW = "from towpath import flow\n\ntraining = flow(__file__)\n"
HEAD = "deployments:\n- name: dev\n  entrypoint: flows/training/flow.py:training\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make(tmp_path_factory.mktemp("declared") / "small", {f"{FOLDER}/flow.py": FLOW})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('schedule: {cron: "0 25 * * *"}', "4: `0 25 * * *` is no schedule of cron's: hour `25`"),
        ("schedule: {cron: daily}", "4: `daily` is no schedule of cron's: it has 1 of 5 fields"),
        ("schedule: {}", "4: a schedule has one of `cron`, `interval` and `rrule`, not 0"),
        ("schedules: [{interval: 30m}]", "4: `30m` is no interval (Prefect reads seconds: write "
         "`1800`)"),
        ("schedules: [{interval: -3}]", "4: `interval` must be above 0, not -3"),
        ("schedule: {interval: 60, timezone: Europe/Berln}",
         "4: there is no time zone `Europe/Berln` (did you mean `Europe/Berlin`?)"),
        ("schedule: {interval: 60, timezone: utc}",
         "4: there is no time zone `utc` (write `UTC`)"),
        ("schedules: [{interval: 1, slug: a}, {interval: 2, slug: a}]",
         "2: deployment `dev`: two schedules have the slug `a`"),
        ("concurrency_limit: 0", "4: `limit` must be at least 1, not 0"),
        ("work_pool: {nam: k8s}", "4: `work_pool` has no key `nam` (did you mean `name`?)"),
        ("tag: x", "4: deployment `dev` has no key `tag` (did you mean `tags`?)"),
        ("on_failure: alerts", "4: `alerts` names no block"),
        ("on_failure: {run: a}", "4: `a` names no deployment (write `flow/name`)"),
        ("on_drift: {}", "4: a reaction does one thing"),
        ("on_change: rows", "4: `rows` names nothing that changes"),
        ("on_change: trainin:clean.rows",
         "4: deployment `dev`: there is no pipeline `trainin` (did you mean `training`?)"),
        ("on_change: training:clean.row",
         "4: deployment `dev`: `clean` of `training` has no output `row` (did you mean `rows`?)"),
        ("on_change: training:clean.rows",
         "4: training -> training: a change of each would run the other"),
        ("on_change: mean#pord",
         "4: deployment `dev`: there is no stage `pord` (did you mean `prod`?)"),
        ("pull: 3", "2: deployment `dev`: `pull` must be a list, not 3"),
        ("\n- {name: a/b, entrypoint: flows/training/flow.py:training}",
         "5: `a/b` is no name of a deployment"),
        ("\n- {name: dev, entrypoint: flows/training/flow.py:training}",
         "5: two deployments of flows/training/flow.py:training are called `dev` (the other "
         "stands in line 2)"),
        ("\n- {name: uat, entrypoint: flows/training/flo.py:training}",
         "5: deployment `uat`: there is no file flows/training/flo.py (did you mean "
         "`flows/training/flow.py`?)"),
        ("\n- {name: uat}", "5: `entrypoint` is missing in deployment `uat`"),
        ("\n- 3", "5: a deployment must be a mapping, not 3"),
        ("\ndeployment: []", "5: prefect.yaml has no key `deployment` (did you mean "
         "`deployments`?)"),
    ],
)  # fmt: skip
def test_what_is_wrong(small: Project, text: str, words: str) -> None:
    small.write("prefect.yaml", f"{HEAD}  {text}\n")
    faults = [str(fault) for fault in find_deployment_faults(small.workspace)]
    assert len(faults) == 1, faults
    assert faults[0].startswith(f"prefect.yaml:{words}"), faults[0]


def test_what_prefect_alone_makes_something_of(small: Project) -> None:
    text = "  build: [{x: {}}]\n  parameters: {factor: '{{ $F }}'}\n  pull: [{y: {z: '{{ q }}'}}]\n"
    small.write("prefect.yaml", f"{HEAD}{text}")
    declared = read_declared_deployments(small.root)
    assert not declared.faults
    assert [str(fault).partition(" (")[0] for fault in declared.unread] == [
        "prefect.yaml:4: deployment `dev`: `build` is for `prefect deploy` alone",
        "prefect.yaml:5: deployment `dev`: `parameters.factor` is filled in by `prefect deploy` "
        "alone",
    ]


def test_all_that_may_be_said(small: Project) -> None:
    small.write("flows/other/pipeline.yaml", "steps: {a: {run: a, outputs: [b.json]}}\n")
    small.write(
        "prefect.yaml",
        HEAD
        + """\
  description: Every night.
  parameters: {factor: 3}
  schedules:
  - {cron: "0 5 * * mon-fri", timezone: Europe/Berlin, parameters: {factor: 4}}
  - {interval: PT1H, active: false, slug: hourly}
  - {rrule: "FREQ=DAILY"}
  tags: nightly
  concurrency_limit: {limit: 2, collision_strategy: CANCEL_NEW}
  work_pool: {name: k8s, work_queue_name: fast, job_variables: {image: "abalone:1"}}
  on_failure: [slack-webhook/alerts, {pause: true}]
  on_drift: {run: training/dev}
  on_change: [other:a.b, mean#prod]
""",
    )
    assert find_deployment_faults(small.workspace) == ()
    [(_, deployment)] = read_declared_deployments(small.root).deployments
    assert [s.interval for s in deployment.all_schedules] == [None, 3600.0, None]
    assert deployment.concurrency_limit
    assert deployment.concurrency_limit.limit == 2
    assert [reaction.model_fields_set for reaction in deployment.on_failure] == [
        {"notify"}, {"pause"},
    ]  # fmt: skip


def test_the_examples_of_the_page(small: Project) -> None:
    page = (Path(__file__).parents[3] / "docs" / "prefect.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    for block in blocks:
        small.write("prefect.yaml", block if "deployments:" in block else HEAD + block)
        declared = read_declared_deployments(small.root)
        assert (declared.faults, declared.unread, len(declared.deployments)) == ((), (), 1)
