"""What a forge must enforce, what of that it does not, and what setting it brings about."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest
from github_server import GitHubServer
from msgspec.structs import replace

from command_line import call_towpath
from towpath import forge
from towpath.config.project_declaration import Project, parse_project
from towpath.errors import ForgeError
from towpath.forge import Environment, Forge, NotMergeable, Rules

NAME = "acme/abalone"
DECLARED = f"""\
name: abalone
stages:
  dev:
  prod: {{approval: forge, approvers: ["@acme/owners", "@bo", mail@example.org]}}
forge: {{kind: github, repository: {NAME}, tag_writers: ["@acme/bots", app/77]}}
"""
As = Callable[[str], Forge]


@pytest.fixture
def project() -> Project:
    return parse_project(DECLARED)


@pytest.fixture
def admin(github: GitHubServer, as_person: As) -> Forge:
    """The forge as its administrator sees it."""
    github.repository(NAME).rights["ada"] = "admin"
    github.team("acme/owners", ["bo"])
    github.team("acme/bots", ["cleo"])
    return as_person("ada")


def test_what_is_wanted_follows_from_the_declaration(project: Project):
    wanted = forge.derive_forge_rules(project, "trunk", ["checks", "drift"])
    assert wanted == Rules(
        required_checks=("checks",),
        pull_request=True,
        approvals=1,
        code_owners=True,
        dismiss_stale=True,
        last_push=True,
        no_force_push=True,
        protected_tags=("*@v*", "*#*"),
        tag_writers=("@acme/bots", "app/77"),
        environments={
            "dev": Environment("dev", (), ("trunk",)),
            "dev-read": Environment("dev-read", (), ("trunk",)),
            "prod": Environment("prod", ("@acme/owners", "bo"), ("trunk",)),
            "prod-read": Environment("prod-read", (), ("trunk",)),
        },
    )


def test_without_a_stage_of_the_forge_no_review_is_wanted():
    wanted = forge.derive_forge_rules(parse_project("name: abalone\nstages: [dev]\n"))
    assert (wanted.approvals, wanted.code_owners, wanted.dismiss_stale) == (0, False, False)
    assert wanted.required_checks == ("checks", "promotion")
    assert wanted.tag_writers is None


def test_what_is_set_is_enforced_and_setting_it_again_does_nothing(
    project: Project, github: GitHubServer, admin: Forge
):
    wanted = forge.derive_forge_rules(project)
    assert len(forge.find_lacking_rules(wanted, admin.rules())) > 10
    done = admin.enforce_rules(wanted)
    assert "ruleset `towpath: main` made" in done
    assert "environment prod made" in done
    actual = admin.rules()
    assert forge.find_lacking_rules(wanted, actual) == ()
    assert actual == wanted
    before = len(github.requests)
    assert admin.enforce_rules(wanted) == []
    assert all(method == "GET" for method, _, _ in github.requests[before:])


def test_each_rule_that_is_taken_away_lacks(project: Project):
    wanted = forge.derive_forge_rules(project)
    for name in ("pull_request", "code_owners", "dismiss_stale", "last_push", "no_force_push"):
        (lack,) = forge.find_lacking_rules(wanted, replace(wanted, **{name: False}))
        assert lack.where == "main"
    (lack,) = forge.find_lacking_rules(wanted, replace(wanted, required_checks=("checks",)))
    assert (lack.wanted, lack.actual) == ("checks, promotion", "checks")
    (lack,) = forge.find_lacking_rules(wanted, replace(wanted, protected_tags=("*@v*",)))
    assert lack.rule.startswith("*#*")
    (lack,) = forge.find_lacking_rules(wanted, replace(wanted, tag_writers=("app/77",)))
    assert lack.actual == "by app/77"
    open_to_all = {**wanted.environments, "prod": Environment("prod", ("bo",), None)}
    lacking = forge.find_lacking_rules(wanted, replace(wanted, environments=open_to_all))
    assert [lack.rule for lack in lacking] == ["who must agree", "may be used from"]


def test_what_is_stricter_stays(project: Project, github: GitHubServer, admin: Forge):
    wanted = forge.derive_forge_rules(project)
    admin.enforce_rules(replace(wanted, approvals=2, required_checks=("lint",)))
    hosted = github.repository(NAME)
    hosted.environments["dev"] |= {"wait_timer": 5}
    hosted.branches["dev"] = [(901, "wild/*")]
    admin.enforce_rules(wanted)
    actual = admin.rules()
    assert actual.approvals == 2
    assert set(actual.required_checks) == {"lint", "checks", "promotion"}
    assert actual.environments["dev"].branches == ("main",)


def test_what_somebody_added_to_our_rulesets_stays(
    project: Project, github: GitHubServer, admin: Forge
):
    wanted = forge.derive_forge_rules(project)
    admin.enforce_rules(replace(wanted, required_checks=("checks",), protected_tags=("*@v*",)))
    of_name = {one["name"]: one for one in github.repository(NAME).rulesets.values()}
    main, tags = of_name["towpath: main"], of_name["towpath: tags"]
    by_kind = {rule["type"]: rule for rule in main["rules"]}
    of_one_app = {"context": "checks", "integration_id": 15368}
    by_kind["required_status_checks"]["parameters"] = {
        "strict_required_status_checks_policy": True,
        "required_status_checks": [of_one_app],
    }
    main["conditions"]["ref_name"]["include"].append("refs/heads/release/*")
    tags["conditions"]["ref_name"]["include"].append("refs/tags/release-*")
    tags["rules"].append({"type": "required_signatures"})
    admin.enforce_rules(wanted)
    assert forge.find_lacking_rules(wanted, admin.rules()) == ()
    (checks,) = (rule for rule in main["rules"] if rule["type"] == "required_status_checks")
    assert checks["parameters"]["strict_required_status_checks_policy"] is True
    assert checks["parameters"]["required_status_checks"] == [of_one_app, {"context": "promotion"}]
    assert "refs/heads/release/*" in main["conditions"]["ref_name"]["include"]
    assert "refs/tags/release-*" in tags["conditions"]["ref_name"]["include"]
    assert {rule["type"] for rule in tags["rules"]} >= {"deletion", "update", "required_signatures"}


def test_the_older_protection_counts_too(project: Project, github: GitHubServer, admin: Forge):
    reviews = {"dismiss_stale_reviews": True, "require_code_owner_reviews": True}
    github.repository(NAME).protection = {
        "required_status_checks": {"strict": False, "checks": [{"context": "checks"}]},
        "required_pull_request_reviews": {**reviews, "require_last_push_approval": True},
        "enforce_admins": True,
        "restrictions": None,
    }
    actual = admin.rules()
    lacking = forge.find_lacking_rules(forge.derive_forge_rules(project), actual)
    assert [lack.rule for lack in lacking if lack.where == "main"] == ["checks that must pass"]


def test_a_token_that_may_not(project: Project, github: GitHubServer, as_person: As):
    github.repository(NAME)
    with pytest.raises(ForgeError, match="does not let this token set the ruleset"):
        as_person("bo").enforce_rules(forge.derive_forge_rules(project))


def test_an_approver_whom_github_does_not_know(github: GitHubServer, admin: Forge):
    unknown = {"prod": Environment("prod", ("nobody-at-all",), ("main",))}
    with pytest.raises(ForgeError, match="no user nobody-at-all"):
        admin.enforce_rules(Rules(environments=unknown))
    assert github.repository(NAME).environments == {}


def test_what_is_set_holds(project: Project, clone, github: GitHubServer, admin, as_person: As):
    """The rules, once set: at the merge, at a push to main, and at tags."""
    clone.git("tag", "-a", "abalone@v1.0.0", "-m", "one")
    clone.git("push", "--quiet", "origin", "abalone@v1.0.0")
    head = clone.change("topic")
    admin.enforce_rules(forge.derive_forge_rules(project))
    admin.open("topic", "main", "Topic", "")
    hosted = github.repository(NAME)
    bo = as_person("bo")
    with pytest.raises(NotMergeable, match='"checks" is expected'):
        bo.merge(1, head)
    hosted.check(head, "checks")
    hosted.check(head, "promotion")
    with pytest.raises(NotMergeable, match="approving review is required"):
        bo.merge(1, head)
    bo.approve(1, head)
    head = clone.more("topic", "late.txt", "after the review")
    hosted.check(head, "checks")
    hosted.check(head, "promotion")
    with pytest.raises(NotMergeable, match="approving review is required"):
        bo.merge(1, head)
    assert [review.state for review in bo.reviews(1)] == ["dismissed"]
    bo.approve(1, head)
    assert bo.merge(1, head)
    clone.git("fetch", "--quiet")
    clone.git("switch", "--quiet", "-C", "main", "origin/main")
    clone.git("commit", "--quiet", "--allow-empty", "-m", "past the review")
    assert "GH006" in clone.git("push", "origin", "main", ok=False)
    clone.git("tag", "-f", "-a", "abalone@v1.0.0", "-m", "another")
    assert "Cannot update" in clone.git("push", "-f", "origin", "abalone@v1.0.0", ok=False)
    assert "Cannot delet" in clone.git("push", "-d", "origin", "abalone@v1.0.0", ok=False)
    clone.git("tag", "-a", "abalone@v9.9.9", "-m", "forged")
    assert "Cannot creat" in clone.git("push", "origin", "abalone@v9.9.9", ok=False)


def towpath(root, *words: str) -> subprocess.CompletedProcess[str]:
    """The command line, in a folder."""
    return call_towpath(root, *words)


@pytest.mark.usefixtures("admin")
def test_the_verb_says_sets_and_checks(clone, github: GitHubServer):
    for name in ("checks", "promotion"):
        clone.more("main", f".github/workflows/{name}.yml", "name: x\n")
    clone.more("main", "towpath.yaml", DECLARED)
    said = towpath(clone.root, "forge", "setup", "--check")
    assert said.returncode == 4, said.stderr
    assert "changes come by pull request alone" in said.stdout
    assert "not enforced; towpath forge setup --apply sets it" in said.stderr
    done = towpath(clone.root, "forge", "setup", "--apply", "--json")
    assert done.returncode == 0, done.stderr
    page = json.loads(done.stdout)["forge"]
    assert page["lacks"] == []
    assert page["wanted"]["required_checks"] == ["checks", "promotion"]
    assert list(github.repository(NAME).environments) == ["dev", "prod"]
    again = towpath(clone.root, "forge", "setup", "--check")
    assert again.returncode == 0, again.stderr
    assert "all of it is enforced" in again.stderr


def test_the_verb_without_a_forge_or_a_token(clone, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GITHUB_TOKEN")
    clone.more("main", "towpath.yaml", "name: abalone\n")
    said = towpath(clone.root, "forge", "setup")
    assert (said.returncode, "names no forge" in said.stderr) == (2, True)
    clone.more("main", "towpath.yaml", DECLARED)
    said = towpath(clone.root, "forge", "setup")
    assert (said.returncode, "there is no token" in said.stderr) == (2, True)
    said = towpath(clone.root, "forge", "setup", "--offline")
    assert said.returncode == 0, said.stderr
    assert "not asked" in said.stdout
    said = towpath(clone.root, "forge", "setup", "--offline", "--check")
    assert said.returncode == 2
