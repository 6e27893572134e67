"""Deploy gates: judged in the stage, by main's policy, before anything that runs is touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reconcile_project import Project, declare, read_deployment
from towpath.audit.stage_history import read_stage_history

STRICT = """
  dev:
  prod:
    deploy: {to: files, path: out}
    gates: {good: {kind: metric, metric: mse, below: 5, when: deploy}}
"""


def _runs(project: Project, stage: str = "prod") -> str | None:
    known = read_deployment(project.store(stage), "abalone")
    return str(known.version) if known else None


def test_a_gate_that_says_no_leaves_the_incumbent(make_project: Callable[..., Project]) -> None:
    project = make_project(STRICT)
    good = project.register(b"one", metrics={"mse": 4.0})
    bad = project.register(b"two", metrics={"mse": 6.0})
    project.up_to("prod", good)
    project.up_to("dev", bad)
    project.promote(bad, "prod")
    applied = project.apply("prod")
    assert (applied.exit_code, applied.outcomes[0].state) == (3, "refused")
    fault = applied.outcomes[0].faults[0]
    assert fault.what.startswith("gate good (metric) says no: 6.0, bound mse below 5")
    assert fault.hint
    assert fault.hint.startswith("towpath.yaml:6")
    assert applied.outcomes[0].revert == f"towpath rollback abalone --stage prod --to {good}"
    assert _runs(project) == good
    assert (project.root / "out/abalone/current").readlink().name == good

    (kept,) = read_deployment(project.store("prod"), "abalone").gates
    assert (kept.gate, kept.value, kept.bound) == ("good", 4.0, "mse below 5")
    first, refused = (e for e in read_stage_history(project.workspace, "abalone", "prod"))
    assert (first.gates, refused.gates) == ((kept,), ())

    declare(project, STRICT.replace("below: 5", "below: 7"))
    assert project.apply("prod").exit_code == 3  # the gate before the promotion counts, too
    project.promote(good, "prod")
    project.promote(bad, "prod")
    assert project.apply("prod").exit_code == 0
    declare(project, STRICT.replace("below: 5", "below: 1"))
    project.promote(good, "prod")
    said: list[str] = []
    assert project.apply("prod", say=said.append).exit_code == 0  # it ran here before
    assert f"abalone: {good} ran here before; its gates are not asked" in said


def test_a_promotion_cannot_bring_the_policy_that_judges_it(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(STRICT)
    bad = project.register(b"two", metrics={"mse": 6.0})
    project.up_to("dev", bad)
    lenient = "name: shells\nstages: " + STRICT.replace("below: 5", "below: 100")
    project.promote(bad, "prod", extra={"towpath.yaml": lenient})
    applied = project.apply("prod")
    assert (applied.exit_code, _runs(project)) == (3, None)
    assert "its commit also changed towpath.yaml" in applied.outcomes[0].words


def test_a_gate_that_was_taken_away_after_the_merge_still_counts(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(STRICT)
    bad = project.register(b"two", metrics={"mse": 6.0})
    project.up_to("dev", bad)
    project.promote(bad, "prod")
    project.write("towpath.yaml", "name: shells\nstages: " + STRICT.replace("below: 5", "below: 9"))
    project.commit("More patience")
    applied = project.apply("prod")
    assert (applied.exit_code, _runs(project)) == (3, None)
    assert applied.outcomes[0].words.startswith(
        "gate good (metric) says no: 6.0, bound mse below 5"
    )


OWN = """
  dev:
    gates: {own: {kind: function, run: "judge:fit", data: ["DATA"], model: false, when: deploy}}
"""
JUDGE = """
def fit(context):
    return open(context["data"]["DATA"]).read() == "rows"
"""


def test_data_of_a_gate_comes_from_git_from_dvc_and_from_a_declared_store(
    make_project: Callable[..., Project], tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    (lake / "landing").mkdir(parents=True)
    (lake / "landing/a.csv").write_text("rows")
    more = f"stores: {{data: {lake}}}\n"
    for number, name in enumerate(("tracked.csv", "pointed.csv", "landing/a.csv", "nowhere.csv")):
        project = make_project(OWN.replace("DATA", name), f"project-{number}")
        project.write("judge.py", JUDGE.replace("DATA", name))
        if name == "tracked.csv":
            project.write(name, "rows")
        if name == "pointed.csv":
            made = project.workspace.store.put_bytes(b"rows", name)
            text = f"outs:\n- md5: {made.digest}\n  size: 4\n  hash: md5\n  path: {name}\n"
            project.write(f"{name}.dvc", text)
        declare(project, OWN.replace("DATA", name), more)
        project.promote(project.register(b"one"), "dev")
        applied = project.apply("dev")
        if name == "nowhere.csv":
            assert applied.exit_code == 3
            assert "nowhere.csv is neither in" in applied.outcomes[0].words
        else:
            assert applied.exit_code == 0, (name, applied.outcomes)
