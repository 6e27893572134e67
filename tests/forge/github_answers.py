"""What the test server answers for what it knows, before it is completed by the description."""

from __future__ import annotations

from typing import Any

from github_description import complete
from github_merging import merges_cleanly, resolve
from github_state import Hosted, Person, Pull, Said
from githubkit_schemas.latest import models


def user(person: Person) -> dict[str, Any]:
    """A user."""
    return {"login": person.login, "id": person.id, "type": "User"}


def pull(hosted: Hosted, one: Pull, url: str) -> dict[str, Any]:
    """A pull request."""
    state = {"state": "open" if one.open else "closed", "number": one.number, "id": one.number}
    page = f"{url}/{hosted.name}/pull/{one.number}"
    api = f"{url}/repos/{hosted.name}/pulls/{one.number}"
    base = resolve(hosted.path, f"refs/heads/{one.base}") or one.head
    merged = {
        "merged": one.merged_by is not None,
        "merged_at": one.merged_at,
        "merged_by": user(one.merged_by) if one.merged_by else None,
        "mergeable": merges_cleanly(hosted.path, base, one.head) if one.open else None,
        "mergeable_state": "unknown",
    }
    return {
        **state,
        **merged,
        "url": api,
        "html_url": page,
        "title": one.title,
        "body": one.body,
        "user": user(one.author),
        "head": side(one.fork or hosted, one.branch, one.head, one.author),
        "base": side(hosted, one.base, base, one.author),
        "created_at": one.time,
        "updated_at": one.time,
        "closed_at": one.merged_at or (None if one.open else one.time),
        "comments": len(one.comments),
    }


def side(hosted: Hosted, branch: str, commit: str, person: Person) -> dict[str, Any]:
    """The head or the base of a pull request."""
    repo = repository(hosted)
    label = f"{hosted.owner}:{branch}"
    return {"label": label, "ref": branch, "sha": commit, "user": user(person), "repo": repo}


def repository(hosted: Hosted) -> dict[str, Any]:
    """A repository."""
    name = hosted.name.partition("/")[2]
    owner = {"login": hosted.owner, "id": 0, "type": "Organization"}
    ways = ("allow_merge_commit", "allow_squash_merge", "allow_rebase_merge")
    allowed = dict(zip(ways, hosted.methods.values(), strict=True))
    known = {"full_name": hosted.name, "name": name, "owner": owner, "default_branch": "main"}
    return {**known, **allowed}


def review(hosted: Hosted, one: Pull, said: Said, url: str) -> dict[str, Any]:
    """A review."""
    page = f"{url}/{hosted.name}/pull/{one.number}#pullrequestreview-{said.id}"
    known = {"id": said.id, "user": user(said.user), "body": said.body, "state": said.state}
    links = {"html": {"href": page}, "pull_request": {"href": page}}
    there = {"html_url": page, "pull_request_url": page, "_links": links}
    return {**known, **there, "submitted_at": said.time, "commit_id": said.commit}


def protection(rules: dict[str, Any]) -> dict[str, Any]:
    """A protection as it is read, from how it was set."""
    checks = rules["required_status_checks"]
    reviews = rules["required_pull_request_reviews"]
    answer: dict[str, Any] = {
        name: {"enabled": bool(rules.get(name))}
        for name in ("allow_force_pushes", "allow_deletions", "required_linear_history")
    }
    answer["enforce_admins"] = {"url": "", "enabled": bool(rules["enforce_admins"])}
    if checks is not None:
        contexts = [one["context"] for one in checks.get("checks", ())]
        app = [{"app_id": None, **one} for one in checks.get("checks", ())]
        strict = bool(checks["strict"])
        answer["required_status_checks"] = {"strict": strict, "contexts": contexts, "checks": app}
    if reviews is not None:
        usual = {"dismiss_stale_reviews": False, "require_code_owner_reviews": False}
        answer["required_pull_request_reviews"] = {
            **usual,
            "required_approving_review_count": 1,
            **reviews,
        }
    return answer


def environment(name: str, given: dict[str, Any], people: dict[int, Any]) -> dict[str, Any]:
    """An environment as it is read, from how it was set; ``people`` are users and teams by id."""
    rules: list[dict[str, Any]] = []
    kinds = {"User": models.SimpleUser, "Team": models.Team}
    reviewers = [
        {"type": one["type"], "reviewer": complete(kinds[one["type"]], people[one["id"]])}
        for one in given.get("reviewers") or ()
    ]
    if reviewers:
        itself = bool(given.get("prevent_self_review"))
        rule = {"id": 1, "node_id": "", "type": "required_reviewers", "reviewers": reviewers}
        rules.append({**rule, "prevent_self_review": itself})
    if given.get("deployment_branch_policy"):
        rules.append({"id": 2, "node_id": "", "type": "branch_policy"})
    policy = given.get("deployment_branch_policy")
    return {"name": name, "protection_rules": rules, "deployment_branch_policy": policy}
