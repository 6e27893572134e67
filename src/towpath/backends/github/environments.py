"""GitHub's environments, and the people, teams and apps that its rules name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath.backends.github.github_requests import Deed, Line
from towpath.forge.forge import Environment

_READ = "actions: read"
_WRITE = "administration: write"


def read(line: Line) -> dict[str, Environment]:
    """The environments by name."""
    return {one.name: _environment(line, one) for one in _raw(line)}


def make(line: Line, wanted: Environment) -> str:
    """Make an environment, or bring it up to date; reviewers that it has stay where none are
    wanted."""
    there = next((one for one in _raw(line) if one.name == wanted.name), None)
    body: dict[str, Any] = dict(_kept(there) if there else {})
    if wanted.reviewers:
        body["reviewers"] = [_reviewer(line, name) for name in wanted.reviewers]
    chosen = wanted.branches is not None
    policy = {"protected_branches": False, "custom_branch_policies": True} if chosen else None
    body["deployment_branch_policy"] = policy
    deed = Deed(f"set the environment {wanted.name}", _WRITE, "environments")
    call: Any = line.github.rest.repos.create_or_update_environment
    line.ask(deed, call, environment_name=wanted.name, data=body)
    if wanted.branches is not None:
        _only(line, deed, wanted.name, wanted.branches)
    return f"environment {wanted.name} {'made' if there is None else 'brought up to date'}"


def writer(line: Line, actor: Any, roles: Mapping[int, str]) -> str:
    """Who may pass a ruleset by, as the declaration names them."""
    kind, number = actor.actor_type, actor.actor_id
    if kind == "RepositoryRole":
        return roles.get(number, f"role/{number}")
    if kind == "Team":
        return next((n for n, known in _teams(line).items() if known == number), f"team/{number}")
    return f"app/{number}" if kind == "Integration" else str(kind)


def actor(line: Line, name: str) -> dict[str, Any]:
    """The same the other way: a role, ``@owner/team`` or ``app/<id>``."""
    roles = {"write": 4, "maintain": 2, "admin": 5}
    found: dict[str, Any]
    if name in roles:
        found = {"actor_type": "RepositoryRole", "actor_id": roles[name]}
    elif name.startswith("app/"):
        found = {"actor_type": "Integration", "actor_id": int(name.removeprefix("app/"))}
    else:
        found = {"actor_type": "Team", "actor_id": _reviewer(line, name)["id"]}
    return {**found, "bypass_mode": "always"}


def _raw(line: Line) -> list[Any]:
    deed = Deed("read the environments", _READ)
    call: Any = line.github.rest.repos.get_all_environments
    return [one for page in line.pages(deed, call) for one in page.environments or ()]


def _environment(line: Line, one: Any) -> Environment:
    reviewers = [
        _name(line, person)
        for rule in one.protection_rules or ()
        for person in getattr(rule, "reviewers", None) or ()
    ]
    return Environment(one.name, tuple(reviewers), _branches(line, one))


def _name(line: Line, person: Any) -> str:
    """A reviewer as approvers are written."""
    if person.type == "Team":
        return f"@{line.owner}/{person.reviewer.slug}"
    return str(person.reviewer.login)


def _branches(line: Line, one: Any) -> tuple[str, ...] | None:
    policy = one.deployment_branch_policy
    if not policy:
        return None
    if not policy.custom_branch_policies:
        return ("the protected branches",)
    deed = Deed(f"read the branches of the environment {one.name}", _READ)
    return tuple(name for name, _ in _policies(line, deed, one.name))


def _policies(line: Line, deed: Deed, name: str) -> list[tuple[str, int]]:
    call: Any = line.github.rest.repos.list_deployment_branch_policies
    pages = line.pages(deed, call, environment_name=name)
    return [(one.name, one.id) for page in pages for one in page.branch_policies]


def _only(line: Line, deed: Deed, name: str, branches: tuple[str, ...]) -> None:
    """Let an environment be used from these branches alone."""
    repos: Any = line.github.rest.repos
    known = _policies(line, deed, name)
    for branch in branches:
        if branch not in [one for one, _ in known]:
            body = {"name": branch, "type": "branch"}
            call = repos.create_deployment_branch_policy
            line.ask(deed, call, environment_name=name, data=body)
    for branch, number in known:
        if branch not in branches:
            call = repos.delete_deployment_branch_policy
            line.do(deed, call, environment_name=name, branch_policy_id=number)


def _kept(there: Any) -> dict[str, Any]:
    """What an environment has beside what we want of it: a time to wait, who must agree."""
    kept: dict[str, Any] = {}
    for rule in there.protection_rules or ():
        if isinstance(getattr(rule, "wait_timer", None), int):
            kept["wait_timer"] = rule.wait_timer
        if people := getattr(rule, "reviewers", None):
            kept["reviewers"] = [{"type": one.type, "id": one.reviewer.id} for one in people]
            kept["prevent_self_review"] = rule.prevent_self_review is True
    return kept


def _reviewer(line: Line, name: str) -> dict[str, Any]:
    """A person or a team by GitHub's number."""
    owner, _, slug = name.removeprefix("@").partition("/")
    rest: Any = line.github.rest
    if slug:
        deed = Deed(f"look for the team {name}", "members: read", f"team {name}")
        team = line.ask_of(deed, rest.teams.get_by_name, org=owner, team_slug=slug)
        return {"type": "Team", "id": team.id}
    deed = Deed(f"look for the user {name}", "none", f"user {name}")
    return {"type": "User", "id": line.ask_of(deed, rest.users.get_by_username, username=owner).id}


def _teams(line: Line) -> dict[str, int]:
    """The teams of this repository by name."""
    deed = Deed("list the teams", "administration: read")
    call: Any = line.github.rest.repos.list_teams
    found = [one for page in line.pages(deed, call) for one in page]
    return {f"@{line.owner}/{one.slug}": one.id for one in found}
