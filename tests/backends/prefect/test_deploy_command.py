"""`towpath deploy`: what is declared is made, changed and removed, and nothing of others.

At the API that the tests share, on which others are. At a local one ``test_deployed.py`` deploys.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stock_prefect import call_prefect

from own_home import use_api
from running import FOLDER, Project, make
from towpath.backends.prefect.server import PrefectApi, worker

FLOW = "from towpath import flow\n\n{0} = flow(__file__)\n"
PREPARE = "params: {n: 3}\nsteps:\n  clean: {run: clean, params: [n], outputs: [rows.json]}\n"
FIRST = """\
name: small
deployments:
- name: dev
  entrypoint: flows/training/flow.py:training
  parameters: {factor: 3}
  schedules:
  - {cron: "0 5 * * mon-fri", timezone: Europe/Berlin}
  - {interval: 3600, parameters: {factor: 4}, slug: hourly}
  tags: [nightly]
  concurrency_limit: 2
  work_pool: {name: towpath}
  on_change: prepare:clean.rows
  on_failure: {run: prepare/dev}
- name: dev
  entrypoint: flows/prepare/flow.py:prepare
  work_pool: {name: towpath}
"""


#: No other test deploys flows of these names at the shared API.
OURS = ("training", "prepare")


@pytest.fixture
def api(warm_api: PrefectApi, monkeypatch: pytest.MonkeyPatch) -> PrefectApi:
    """The API that the tests share, which this process has configured."""
    use_api(warm_api, monkeypatch)
    return warm_api


@pytest.fixture
def small(tmp_path: Path) -> Project:
    """A project of two pipelines and their deployments."""
    return make(
        tmp_path / "two words ä",
        {
            "towpath.yaml": "name: deploying\n",
            f"{FOLDER}/flow.py": FLOW.format("training"),
            "flows/prepare/flow.py": FLOW.format("prepare"),
            "flows/prepare/pipeline.yaml": PREPARE,
            "flows/prepare/steps.py": "def clean(n: float) -> list:\n    return [n]\n",
            "prefect.yaml": FIRST,
        },
    )


def changes(small: Project, *words: str, code: int = 0) -> dict[str, list[str]]:
    """The changes that `towpath deploy` tells, with the fields of each."""
    answer = small.towpath("deploy", "--json", *words)
    assert answer.code == code, answer
    [plan] = answer.json["deploy"]
    return {
        f"{c['change']} {c['what']} {c['name']}": [f["field"] for f in c["fields"]]
        for c in plan["changes"]
    }


def ask(api: PrefectApi, path: str, body: Any) -> Any:
    return worker.ask_local_api(api.proven_endpoint, "POST", path, body)


def standing_deployments(api: PrefectApi) -> list[dict[str, Any]]:
    """Those of our flows, whoever made them."""
    flows = {"flows": {"name": {"any_": OURS}}}
    return list(ask(api, "/deployments/filter", flows))


def test_what_is_declared_stands(small: Project, api: PrefectApi) -> None:
    made = {
        "make deployment training/dev": [],
        "make deployment prepare/dev": [],
        "make automation training/dev on failure": [],
        "make automation training/dev on change": [],
    }
    assert changes(small, "--check", code=4) == made
    assert changes(small, "--apply") == made
    assert changes(small, "--check") == {}
    stands = {d["name"]: d for d in standing_deployments(api)}
    assert stands["dev"]["tags"][-1] == f"towpath:{small.workspace.project.name}"
    # Stock Prefect reads the same file: it takes the mark away, and nothing else of it.
    call_prefect(small.root, "deploy", "--all")
    taken = changes(small)
    assert taken["change deployment prepare/dev"] == ["tags"]
    assert sorted(taken["change deployment training/dev"]) == ["schedules", "tags"]  # its anchor
    assert changes(small, "--apply") == taken

    small.edit("prefect.yaml", "{factor: 3}", "{factor: 5}")
    small.edit("prefect.yaml", "{run: prepare/dev}", "{pause: true}")
    small.edit("prefect.yaml", '"0 5 * * mon-fri"', '"0 6 * * *"')
    changed = {
        "change deployment training/dev": ["parameters", "schedules"],
        "change automation training/dev on failure": ["actions"],
    }
    assert changes(small, "--apply") == changed
    assert changes(small) == {}
    refuse(small)

    # Renamed: the old one goes, with its automations; what others made stays.
    small.write("prefect.yaml", FIRST.replace("name: dev", "name: uat", 1))
    assert changes(small, "--for", "uat") == {
        "make deployment training/uat": [],
        "make automation training/uat on failure": [],
        "make automation training/uat on change": [],
    }
    assert small.towpath("deploy", "--apply").code == 0
    ask(api, "/deployments/", {**own(stands["dev"]), "name": "by-hand", "tags": ["towpath:x"]})
    small.write("prefect.yaml", "deployments: []\n")
    assert set(changes(small, "--apply")) == {
        "remove automation training/uat on change",
        "remove automation training/uat on failure",
        "remove deployment training/uat",
        "remove deployment prepare/dev",
    }
    [left] = standing_deployments(api)
    assert left["name"] == "by-hand"
    automations = ask(api, "/automations/filter", {})
    assert not [a["name"] for a in automations if a["name"].startswith(OURS)]
    worker.ask_local_api(api.proven_endpoint, "DELETE", f"/deployments/{left['id']}")


def own(deployment: dict[str, Any]) -> dict[str, Any]:
    """What a request for such a deployment says."""
    return {"flow_id": deployment["flow_id"], "entrypoint": deployment["entrypoint"]}


def refuse(small: Project) -> None:
    """What the flow, the API or another owner would refuse; nothing is made of it."""
    good = (small.root / "prefect.yaml").read_text(encoding="utf-8")
    for before, after, words in [
        (
            "{factor: 5}",
            "{fctor: 5}",
            "prefect.yaml:5: deployment `dev`: training takes no `fctor`",
        ),
        (
            "{factor: 5}",
            "{factor: -1}",
            "prefect.yaml:5: deployment `dev`: factor: Input should be",
        ),
        (
            "limit: 2\n  work_pool: {name: tow",
            "limit: 2\n  work_pool: {name: to",
            "prefect.yaml:11: there is no work pool",
        ),
        ("{pause: true}", "slack-webhook/none", "prefect.yaml:13: there is no block slack-webhook"),
        ("{pause: true}", "{run: a/b}", "prefect.yaml:13: there is no deployment `a/b`"),
        ("flow.py:training", "flow.py:trainin", "prefect.yaml:4: flows/training/flow.py has no"),
    ]:
        small.write("prefect.yaml", good.replace(before, after))
        answer = small.towpath("deploy", "--apply")
        assert answer.code == 2, answer
        assert words in answer.err, answer.err
    small.write("prefect.yaml", good)
    project = small.workspace.project.name
    small.edit("towpath.yaml", f"name: {project}", "name: other")
    answer = small.towpath("deploy", "--apply")
    assert answer.code == 2
    assert f"the deployment training/dev is of the project `{project}`" in answer.err
    small.edit("towpath.yaml", "name: other", f"name: {project}")
    assert small.towpath("deploy", "--for", "ua").code == 2
    assert small.towpath("deploy", "--apply", "--check").code == 2
