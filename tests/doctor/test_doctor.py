"""What `towpath doctor` finds in a project that lacks something, and in one that lacks nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from command_line import call_dvc, call_towpath
from own_home import MAIN, move_in
from promotion_project import Project, begin
from towpath import forge
from towpath.backends.github.connect_forge import connect_forge
from towpath.doctor import DoctorCheck, examine_project
from towpath.workspace import Workspace

if TYPE_CHECKING:
    from github_server import GitHubServer

PLAIN = "name: abalone\nstages: [dev, prod]\n"
NAME = "acme/abalone"
AT_FORGE = f"""\
name: abalone
stages:
  dev: {{store: /nowhere/dev}}
  prod: {{store: /nowhere/prod, approval: forge}}
forge: {{kind: github, repository: {NAME}}}
"""
AT_S3 = """\
name: abalone
stages:
  prod: {store: {url: s3://models-prod/abalone, credentials: {access_key: A, secret_key: B}}}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; nothing of the machine's settings or tokens reaches a test."""
    return move_in(tmp_path / "home", MAIN, monkeypatch)


def found(
    root: Path, verdict: str, environ: Mapping[str, str] | None = None, offline: bool = False
) -> list[DoctorCheck]:
    """What is said with a verdict."""
    checks = examine_project(Workspace(root), offline, environ or {})
    return [one for one in checks if one.verdict == verdict]


def lacking(root: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    """What lacks, in words."""
    return [f"{one.about}: {one.said}" for one in found(root, "lacks", environ)]


def test_nothing_lacks_on_a_machine_of_ones_own(tmp_path: Path) -> None:
    project = begin(tmp_path / "abalone", PLAIN)
    assert lacking(project.root) == []
    said = [one.said for one in found(project.root, "well")]
    assert "commits are Ada Lovelace <ada@example.org>'s" in said
    assert "abalone, with the stages dev, prod" in said
    assert any("says that no model runs there" in one for one in said)


def test_git_lacks_a_person_a_commit_and_itself(tmp_path: Path) -> None:
    (tmp_path / "towpath.yaml").write_text(PLAIN)
    assert lacking(tmp_path)[0] == "git: there is no Git repository here"
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert lacking(tmp_path)[:2] == [
        "git: Git does not know who you are",
        "git: nothing is committed yet",
    ]


def test_a_clone_without_history_or_tags(tmp_path: Path) -> None:
    project = begin(tmp_path / "abalone", PLAIN)
    project.commit({"more.py": "x = 1\n"})
    project.register()
    url = f"file://{project.root}"
    cut, bare = tmp_path / "cut", tmp_path / "bare"
    for words, there in (["--depth=1"], cut), (["--no-tags"], bare):
        subprocess.run(["git", "clone", "-q", *words, url, str(there)], check=True)
        Project(there).be("bo")
    assert "git: the clone is shallow: history was cut off" in lacking(cut)
    assert "git: the clone was made without tags, which are the versions" in lacking(bare)
    assert "remote: 1 of origin's tags are not here" in lacking(bare)
    (hint,) = {one.hint for one in found(bare, "lacks") if one.about == "remote"}
    assert hint == "towpath fetch"


def test_a_tag_that_is_another_at_the_remote(tmp_path: Path) -> None:
    project = begin(tmp_path / "abalone", PLAIN)
    project.register()
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", f"file://{project.root}", str(clone)], check=True)
    Project(clone).be("bo").git("tag", "-f", "-a", "-m", "forged", "abalone@v1.0.0", "HEAD")
    assert "remote: abalone@v1.0.0 is another tag there than here" in lacking(clone)


def test_a_remote_that_does_not_answer(tmp_path: Path) -> None:
    project = begin(tmp_path / "abalone", PLAIN)
    project.git("remote", "add", "origin", str(tmp_path / "gone.git"))
    (said,) = lacking(project.root)
    assert said.startswith("remote: origin cannot be reached")
    assert found(project.root, "lacks", offline=True) == []


def test_a_declaration_says_all_its_faults(tmp_path: Path) -> None:
    project = begin(tmp_path / "abalone", "name: abalone\nstages: [dev]\ncolour: red\nforge: bit\n")
    said = lacking(project.root)
    assert len(said) == 2
    assert all(one.startswith("declaration: towpath.yaml:") for one in said)


def test_an_approval_that_nobody_can_give(tmp_path: Path) -> None:
    stages = "{dev: {approval: signed}, prod: {approval: forge}}"
    project = begin(tmp_path / "abalone", f"name: abalone\nstages: {stages}\n")
    assert lacking(project.root) == [
        "stage dev: is entered by signatures, and no signer is allowed",
        "stage prod: is entered by a forge's reviews, and there is no forge",
    ]
    project.commit({"registry/allowed_signers": "ada@example.org ssh-ed25519 AAAA\n"})
    assert lacking(project.root)[-1] == ("registry/allowed_signers:1: this is no line of a signer")
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMJh6/w71oY7pzBypieMM7dnB42HpbpLOvBCJC2XAAAA"
    project.commit({"registry/allowed_signers": f"ada@example.org {key}\n"})
    assert [one.partition(":")[0] for one in lacking(project.root)] == ["stage prod"]


def test_stages_that_share_a_store(tmp_path: Path) -> None:
    stages = "{dev: {store: ../one}, prod: {store: ../one/}}"
    project = begin(tmp_path / "abalone", f"name: abalone\nstages: {stages}\n")
    assert [one.split(",")[0] for one in lacking(project.root)] == [
        "stage dev: another stage has its store too",
        "stage prod: another stage has its store too",
    ]


def test_a_store_whose_keys_are_not_here_is_unknown(tmp_path: Path) -> None:
    project = begin(tmp_path / "abalone", AT_S3)
    assert lacking(project.root) == []
    (one,) = found(project.root, "unknown")
    assert one.said == "its store is not looked at: not set here: A, B"


def test_a_store_that_cannot_be_opened(tmp_path: Path) -> None:
    project = begin(tmp_path / "abalone", "name: abalone\nstages: {dev: {store: 'ftp://x/y'}}\n")
    assert lacking(project.root) == ["stage dev: ftp://x/y is neither a folder nor an S3 URL"]


def at_forge(tmp_path: Path, github: GitHubServer) -> Project:
    """A project whose main branch is at the forge."""
    text = AT_FORGE.replace("/nowhere", str(tmp_path))
    project = begin(tmp_path / "abalone", text)
    project.commit({".github/CODEOWNERS": "/registry/stages/ @bo\n"})
    project.git("remote", "add", "origin", github.remote(NAME))
    project.git("push", "-q", "origin", "main")
    return project


def test_a_forge_that_answers(tmp_path: Path, github: GitHubServer) -> None:
    project = at_forge(tmp_path, github)
    said = [one.said for one in found(project.root, "well", github.environ())]
    assert f"GitHub answers ada, asked about {NAME}" in said
    assert "is entered by an approval of @bo, at least `forge`" in said
    assert not any("token-ada" in one for one in said)


def test_a_forge_that_enforces_nothing_and_then_all(tmp_path: Path, github: GitHubServer) -> None:
    project = at_forge(tmp_path, github)
    github.repository(NAME).rights["ada"] = "admin"
    said = lacking(project.root, github.environ())
    assert "forge: main: changes come by pull request alone: yes; now: no" in said
    assert "forge: environment prod: is there: yes; now: no" in said
    assert not any("checks that must pass" in one for one in said), "no workflow gives one"
    there = connect_forge(Workspace(project.root).policy, environ=github.environ())
    assert there is not None
    there.enforce_rules(forge.derive_forge_rules(Workspace(project.root).policy, "main", ()))
    assert lacking(project.root, github.environ()) == []
    assert "it enforces what the declaration relies on" in [
        one.said for one in found(project.root, "well", github.environ())
    ]


def test_a_check_that_a_workflow_gives_is_required(tmp_path: Path, github: GitHubServer) -> None:
    project = at_forge(tmp_path, github)
    project.commit({".github/workflows/promotion.yml": "name: promotion\n"})
    project.git("push", "-q", "origin", "main")
    said = lacking(project.root, github.environ())
    assert "forge: main: checks that must pass: promotion; now: none" in said


def test_an_app_s_token_is_no_person_s(tmp_path: Path, github: GitHubServer) -> None:
    project = at_forge(tmp_path, github)
    github.fail_next(403, {}, {"message": "Resource not accessible by integration"}, path="/user")
    told = found(project.root, "unknown", github.environ())
    assert "the token is no person's" in next(one.said for one in told if one.about == "forge")
    assert "forge: main: changes come by pull request alone: yes; now: no" in lacking(
        project.root, github.environ()
    )


def test_rules_that_a_token_may_not_read_are_unknown(tmp_path: Path, github: GitHubServer) -> None:
    project = at_forge(tmp_path, github)
    github.fail_next(403, {}, {"message": "Resource not accessible"}, path="/rules")
    told = found(project.root, "unknown", github.environ())
    (one,) = [one for one in told if one.about == "forge"]
    assert "Resource not accessible" in one.said
    assert lacking(project.root) != []


def test_a_forge_without_a_token_and_one_that_is_refused(
    tmp_path: Path, github: GitHubServer
) -> None:
    project = at_forge(tmp_path, github)
    nobody = {"GITHUB_API_URL": github.url}
    assert [one.about for one in found(project.root, "lacks", nobody)] == ["forge"]
    (one,) = found(project.root, "lacks", {**nobody, "GITHUB_TOKEN": "stale-secret"})
    assert one.said.startswith("GitHub does not take the token")
    assert "stale-secret" not in f"{one.said} {one.hint}"


def test_a_forge_nobody_is_named_at_and_another_repository_s_remote(
    tmp_path: Path, github: GitHubServer
) -> None:
    project = at_forge(tmp_path, github)
    github.repository("acme/other")
    project.commit({".github/CODEOWNERS": "# nobody yet\n"})
    project.git("push", "-q", "origin", "main")
    project.git("remote", "set-url", "origin", github.remote("acme/other"))
    project.git("push", "-q", "origin", "main")
    said = lacking(project.root, github.environ())
    assert "stage prod: nobody is named who may approve what enters it" in said
    assert any(one.startswith("forge: promotions are pushed to http://127") for one in said)
    assert not any("token-ada" in one for one in said)


def test_a_forge_s_runner_does_not_have_this_machine_s_folders(
    tmp_path: Path, github: GitHubServer
) -> None:
    text = f"name: abalone\nstages: [dev]\nforge: {{kind: github, repository: {NAME}}}\n"
    project = begin(tmp_path / "abalone", text)
    said = lacking(project.root, github.environ())
    assert said[0].startswith("stage dev: its store is a folder of this machine")
    assert said[1] == "forge: there is no remote to push a promotion to"


def test_the_verb(tmp_path: Path) -> None:
    project = begin(tmp_path / "abalone", PLAIN)
    project.git("remote", "add", "origin", str(tmp_path / "gone.git"))

    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        return call_towpath(project.root, *words)

    done = typed("doctor")
    assert done.returncode == 4, done.stderr
    assert "✗ remote: origin cannot be reached" in done.stdout
    assert "hint: try: git ls-remote origin" in done.stdout
    done = typed("doctor", "--offline", "--json")
    assert done.returncode == 0
    checks = json.loads(done.stdout)["checks"]
    assert {one["verdict"] for one in checks} == {"well", "unknown"}
    assert [one["about"] for one in checks if one["verdict"] == "unknown"] == ["store"]


def test_what_a_project_stands_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = f"{PLAIN}forge: {{kind: github, repository: {NAME}}}\n"
    project = begin(tmp_path / "abalone", declared)
    project.git("remote", "add", "origin", str(project.root))
    told = {one.about: one.said for one in found(project.root, "unknown", offline=True)}
    assert "no DVC remote" in told["store"]
    assert "no .github/workflows/promotion.yml, reconcile.yml" in told["workflows"]
    flows = {f".github/workflows/{name}.yml": "name: x\n" for name in ("promotion", "reconcile")}
    project.commit({".dvc/config": "[core]\n    remote = cold\n", **flows})
    told = {one.about: one.said for one in found(project.root, "well", offline=True)}
    assert "DVC remote cold" in told["store"]
    assert told["workflows"] == "promotion, reconcile"
    assert any(one.said.startswith("git version") for one in found(project.root, "well"))
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    assert any(
        one.startswith("prefect: the API http://127.0.0.1:9/api") for one in lacking(project.root)
    )


def test_the_remote_is_the_one_that_dvc_would_take(tmp_path: Path) -> None:
    project = begin(tmp_path / "abalone", PLAIN)
    project.git("remote", "add", "origin", str(project.root))

    def dvc(*words: str) -> None:
        assert call_dvc(project.root, *words).returncode == 0

    def said() -> str:
        checks = examine_project(Workspace(project.root), True, {})
        return next(one.said for one in checks if one.about == "store")

    dvc("init")
    assert said().endswith("no DVC remote")
    dvc("remote", "add", "Cold", str(tmp_path / "cold"))
    assert said() == "bytes are pushed to the DVC remote cold", "the only one"
    dvc("remote", "add", "--local", "warm", str(tmp_path / "warm"))
    assert said().endswith("no DVC remote"), "none of the two is the default"
    dvc("remote", "default", "warm")
    assert said() == "bytes are pushed to the DVC remote warm"
