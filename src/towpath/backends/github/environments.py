"""GitHub's environments, and the people, teams and apps that its rules name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from towpath.backends.github.github_requests import GitHubLine
from towpath.backends.github.refusals import Deed
from towpath.forge.forge import Environment

_READ = "actions: read"
_WRITE = "administration: write"


def read_environments(line: GitHubLine) -> dict[str, Environment]:
    """The environments by name."""
    return {
        environment.name: _parse_environment(line, environment)
        for environment in _raw_environments(line)
    }


def make_environment(line: GitHubLine, wanted: Environment) -> str:
    """Make an environment, or bring it up to date; reviewers that it has stay where none are
    wanted."""
    existing = next(
        (environment for environment in _raw_environments(line) if environment.name == wanted.name),
        None,
    )
    body: dict[str, Any] = dict(_kept_settings(existing) if existing else {})
    if wanted.reviewers:
        body["reviewers"] = [_find_reviewer(line, name) for name in wanted.reviewers]
    chosen = wanted.branches is not None
    policy = {"protected_branches": False, "custom_branch_policies": True} if chosen else None
    body["deployment_branch_policy"] = policy
    deed = Deed(f"set the environment {wanted.name}", _WRITE, "environments")
    call: Any = line.github.rest.repos.create_or_update_environment
    line.ask(deed, call, environment_name=wanted.name, data=body)
    if wanted.branches is not None:
        _restrict_branches(line, deed, wanted.name, wanted.branches)
    return f"environment {wanted.name} {'made' if existing is None else 'brought up to date'}"


def name_tag_writer(line: GitHubLine, actor: Any, roles: Mapping[int, str]) -> str:
    """Who may pass a ruleset by, as the declaration names them."""
    kind, number = actor.actor_type, actor.actor_id
    if kind == "RepositoryRole":
        return roles.get(number, f"role/{number}")
    if kind == "Team":
        return next(
            (n for n, team_number in _team_numbers(line).items() if team_number == number),
            f"team/{number}",
        )
    return f"app/{number}" if kind == "Integration" else str(kind)


def find_actor(line: GitHubLine, name: str) -> dict[str, Any]:
    """The same the other way: a role, ``@owner/team`` or ``app/<id>``."""
    roles = {"write": 4, "maintain": 2, "admin": 5}
    entry: dict[str, Any]
    if name in roles:
        entry = {"actor_type": "RepositoryRole", "actor_id": roles[name]}
    elif name.startswith("app/"):
        entry = {"actor_type": "Integration", "actor_id": int(name.removeprefix("app/"))}
    else:
        entry = {"actor_type": "Team", "actor_id": _find_reviewer(line, name)["id"]}
    return {**entry, "bypass_mode": "always"}


def _raw_environments(line: GitHubLine) -> list[Any]:
    deed = Deed("read the environments", _READ)
    call: Any = line.github.rest.repos.get_all_environments
    return [
        environment
        for page in line.read_pages(deed, call)
        for environment in page.environments or ()
    ]


def _parse_environment(line: GitHubLine, one: Any) -> Environment:
    reviewers = [
        _reviewer_name(line, person)
        for rule in one.protection_rules or ()
        for person in getattr(rule, "reviewers", None) or ()
    ]
    return Environment(one.name, tuple(reviewers), _allowed_branches(line, one))


def _reviewer_name(line: GitHubLine, person: Any) -> str:
    """A reviewer as approvers are written."""
    if person.type == "Team":
        return f"@{line.owner}/{person.reviewer.slug}"
    return str(person.reviewer.login)


def _allowed_branches(line: GitHubLine, one: Any) -> tuple[str, ...] | None:
    policy = one.deployment_branch_policy
    if not policy:
        return None
    if not policy.custom_branch_policies:
        return ("the protected branches",)
    deed = Deed(f"read the branches of the environment {one.name}", _READ)
    return tuple(name for name, _ in _branch_policies(line, deed, one.name))


def _branch_policies(line: GitHubLine, deed: Deed, name: str) -> list[tuple[str, int]]:
    call: Any = line.github.rest.repos.list_deployment_branch_policies
    pages = line.read_pages(deed, call, environment_name=name)
    return [(policy.name, policy.id) for page in pages for policy in page.branch_policies]


def _restrict_branches(line: GitHubLine, deed: Deed, name: str, branches: tuple[str, ...]) -> None:
    """Let an environment be used from these branches alone."""
    repos: Any = line.github.rest.repos
    policies = _branch_policies(line, deed, name)
    for branch in branches:
        if branch not in [known_branch for known_branch, _ in policies]:
            body = {"name": branch, "type": "branch"}
            call = repos.create_deployment_branch_policy
            line.ask(deed, call, environment_name=name, data=body)
    for branch, number in policies:
        if branch not in branches:
            call = repos.delete_deployment_branch_policy
            line.do(deed, call, environment_name=name, branch_policy_id=number)


def _kept_settings(there: Any) -> dict[str, Any]:
    """What an environment has beside what we want of it: a time to wait, who must agree."""
    kept: dict[str, Any] = {}
    for rule in there.protection_rules or ():
        if isinstance(getattr(rule, "wait_timer", None), int):
            kept["wait_timer"] = rule.wait_timer
        if people := getattr(rule, "reviewers", None):
            kept["reviewers"] = [
                {"type": reviewer.type, "id": reviewer.reviewer.id} for reviewer in people
            ]
            kept["prevent_self_review"] = rule.prevent_self_review is True
    return kept


def _find_reviewer(line: GitHubLine, name: str) -> dict[str, Any]:
    """A person or a team by GitHub's number."""
    owner, _, slug = name.removeprefix("@").partition("/")
    rest: Any = line.github.rest
    if slug:
        deed = Deed(f"look for the team {name}", "members: read", f"team {name}")
        team = line.ask_of(deed, rest.teams.get_by_name, org=owner, team_slug=slug)
        return {"type": "Team", "id": team.id}
    deed = Deed(f"look for the user {name}", "none", f"user {name}")
    return {"type": "User", "id": line.ask_of(deed, rest.users.get_by_username, username=owner).id}


def _team_numbers(line: GitHubLine) -> dict[str, int]:
    """The teams of this repository by name."""
    deed = Deed("list the teams", "administration: read")
    call: Any = line.github.rest.repos.list_teams
    teams = [team for page in line.read_pages(deed, call) for team in page]
    return {f"@{line.owner}/{team.slug}": team.id for team in teams}
