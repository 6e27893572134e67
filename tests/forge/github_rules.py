"""The operations of the test server about rules: protection, rulesets, environments, teams."""

from __future__ import annotations

import itertools
from typing import Any

import github_answers as answers
from github_routes import Answer, Call, Refusal, route

_ids = itertools.count(1)


@route("repos", "get_branch_protection")
def protection(call: Call) -> Answer:
    hosted = call.writable("administration", "admin")
    if call.named["branch"] != "main" or hosted.protection is None:
        raise Refusal(404, "Branch not protected")
    return answers.protection(hosted.protection)


@route("repos", "update_branch_protection")
def protect(call: Call) -> Answer:
    hosted = call.writable("administration", "admin")
    hosted.protection = call.body
    _guard(call)
    return {"url": call.server.url}


@route("repos", "get_branch_rules")
def branch_rules(call: Call) -> Answer:
    return call.hosted.main_rules() if call.named["branch"] == "main" else []


@route("repos", "list_teams")
def teams(call: Call) -> Answer:
    owner = call.hosted.owner
    return [_team(call, name) for name in call.server.teams if name.startswith(f"{owner}/")]


@route("repos", "get_repo_rulesets")
def rulesets(call: Call) -> Answer:
    shown = ("id", "name", "target", "source", "enforcement")
    return [{key: one[key] for key in shown} for one in call.hosted.rulesets.values()]


@route("repos", "get_repo_ruleset")
def ruleset(call: Call) -> Answer:
    return _ruleset(call)


@route("repos", "create_repo_ruleset", 201)
def add_ruleset(call: Call) -> Answer:
    hosted = call.writable("administration", "admin")
    if any(one["name"] == call.body["name"] for one in hosted.rulesets.values()):
        raise Refusal(422, "Validation Failed", [_taken("name")])
    number = next(_ids)
    usual: dict[str, Any] = {"target": "branch", "bypass_actors": [], "rules": []}
    hosted.rulesets[number] = {**usual, **call.body, "id": number, "source": hosted.name}
    _guard(call)
    return hosted.rulesets[number]


@route("repos", "update_repo_ruleset")
def change_ruleset(call: Call) -> Answer:
    call.writable("administration", "admin")
    _ruleset(call).update(call.body)
    _guard(call)
    return _ruleset(call)


@route("repos", "get_all_environments")
def environments(call: Call) -> Answer:
    shown = [_environment(call, name) for name in call.hosted.environments]
    return {"total_count": len(shown), "environments": shown}


@route("repos", "create_or_update_environment")
def set_environment(call: Call) -> Answer:
    hosted, name = call.writable("administration", "admin"), call.named["environment_name"]
    people = _people(call)
    for one in (call.body or {}).get("reviewers") or ():
        if one["id"] not in people:
            raise Refusal(422, "Failed to create the environment protection rule.")
    hosted.environments[name] = call.body or {}
    return _environment(call, name)


@route("repos", "list_deployment_branch_policies")
def branch_policies(call: Call) -> Answer:
    found = [{"id": n, "name": name} for n, name in _branches(call)]
    return {"total_count": len(found), "branch_policies": found}


@route("repos", "create_deployment_branch_policy")
def add_branch_policy(call: Call) -> Answer:
    call.writable("administration", "admin")
    known = _branches(call)
    known.append((next(_ids), call.body["name"]))
    return {"id": known[-1][0], "name": known[-1][1]}


@route("repos", "delete_deployment_branch_policy", 204)
def remove_branch_policy(call: Call) -> Answer:
    call.writable("administration", "admin")
    gone = int(call.named["branch_policy_id"])
    known = _branches(call)
    known[:] = [one for one in known if one[0] != gone]
    return None


@route("teams", "get_by_name")
def team(call: Call) -> Answer:
    name = f"{call.named['org']}/{call.named['team_slug']}"
    if name not in call.server.teams:
        raise Refusal(404, "Not Found")
    return _team(call, name)


@route("users", "get_by_username")
def someone(call: Call) -> Answer:
    found = call.server.people.get(call.named["username"])
    if found is None:
        raise Refusal(404, "Not Found")
    return {**answers.user(found), "user_view_type": "public"}


def _guard(call: Call) -> None:
    call.hosted.guard({person.id: person.login for person in call.server.people.values()})


def _ruleset(call: Call) -> dict[str, Any]:
    found = call.hosted.rulesets.get(int(call.named["ruleset_id"]))
    if found is None:
        raise Refusal(404, "Not Found")
    return found


def _branches(call: Call) -> list[tuple[int, str]]:
    name = call.named["environment_name"]
    if name not in call.hosted.environments:
        raise Refusal(404, "Not Found")
    return call.hosted.branches.setdefault(name, [])


def _environment(call: Call, name: str) -> dict[str, Any]:
    return answers.environment(name, call.hosted.environments[name], _people(call))


def _people(call: Call) -> dict[int, Any]:
    server = call.server
    users = {person.id: answers.user(person) for person in server.people.values()}
    return users | {one.id: _team(call, name) for name, one in server.teams.items()}


def _team(call: Call, name: str) -> dict[str, Any]:
    owner, _, slug = name.partition("/")
    page = f"{call.server.url}/orgs/{owner}/teams/{slug}"
    known = {"id": call.server.teams[name].id, "slug": slug, "name": slug}
    return {**known, "url": page, "html_url": page}


def _taken(name: str) -> dict[str, Any]:
    return {"resource": "Repository", "field": name, "code": "already_exists"}
