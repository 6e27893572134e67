"""What GitHub enforces: rulesets on main and on tags, the older branch protection, environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from towpath.backends.github.github_requests import Deed, GitHubLine, RefusedByGitHub
from towpath.forge import Environment, MergeWays, Method, Rules, find_lacking_rules

# What is ours has these names: a person's own rulesets beside them are never touched.
MAIN = "towpath: main"
TAGS = "towpath: tags"
WRITERS = "towpath: who makes tags"
_READ = "metadata: read"
_READ_ENVIRONMENTS = "actions: read"
_WRITE = "administration: write"
_ROLES = {"maintain": 2, "write": 4, "admin": 5}  # GitHub's numbers of its own roles
_REFS = "refs/tags/"
_TALKS = "required_review_thread_resolution"


def read_enforced_rules(line: GitHubLine) -> Rules:
    """What is enforced now, whichever ruleset or protection does it."""
    main = _read_repository(line).default_branch
    enforced = _with_branch_protection(line, main, _rules_on_main(line, main))
    environments = {
        environment.name: _parse_environment(line, environment)
        for environment in _list_environments(line)
    }
    return replace(_with_tag_rules(line, enforced), environments=environments)


def merge_ways(line: GitHubLine) -> MergeWays:
    repository = _read_repository(line)
    allowed_methods: dict[Method, object] = {
        "merge": repository.allow_merge_commit,
        "squash": repository.allow_squash_merge,
        "rebase": repository.allow_rebase_merge,
    }
    # Who may not push is not told which methods the repository allows, and gets no value at all:
    # then all that no rule forbids are tried.
    methods = [method for method, allowed in allowed_methods.items() if allowed is not False]
    rules = _branch_rules(line, repository.default_branch)
    for rule in rules:
        named = getattr(getattr(rule, "parameters", None), "allowed_merge_methods", None)
        if isinstance(named, list):
            methods = [method for method in methods if method in named]
        if rule.type == "required_linear_history":
            methods = [method for method in methods if method != "merge"]
    return MergeWays(tuple(methods), any(rule.type == "merge_queue" for rule in rules))


def enforce_rules(line: GitHubLine, rules: Rules) -> Sequence[str]:
    """Make GitHub enforce these rules; what was changed, a line each. Nothing is weakened."""
    actual = read_enforced_rules(line)
    lacking_places = {lack.where for lack in find_lacking_rules(rules, actual)}
    changes = []
    if "main" in lacking_places:
        ours = _rules_of_main(rules, actual)
        changes.append(_write_ruleset(line, MAIN, "branch", ["~DEFAULT_BRANCH"], ours))
    if "tags" in lacking_places:
        patterns = [f"{_REFS}{pattern}" for pattern in rules.protected_tags]
        unmoved = [{"type": "deletion"}, {"type": "update"}]
        changes.append(_write_ruleset(line, TAGS, "tag", patterns, unmoved))
        if rules.tag_writers is not None:
            # A ruleset of its own: who may pass it by may still neither move nor delete a tag.
            free = [_find_actor(line, name) for name in rules.tag_writers]
            creation = [{"type": "creation"}]
            changes.append(_write_ruleset(line, WRITERS, "tag", patterns, creation, free))
    for name, environment in rules.environments.items():
        if f"environment {name}" in lacking_places:
            changes.append(_make_environment(line, environment))
    return changes


def _read_repository(line: GitHubLine) -> Any:
    return line.ask(Deed(f"read {line.name}", _READ), line.rest.repos.get)


def _rules_on_main(line: GitHubLine, main: str) -> Rules:
    """The rules of all rulesets that hold for the main branch, an organisation's too."""
    branch_rules = _branch_rules(line, main)
    types = {rule.type for rule in branch_rules}
    rules = Rules(
        no_force_push={"non_fast_forward", "deletion"} <= types,
        merge_queue="merge_queue" in types,
    )
    for rule in branch_rules:
        if rule.type == "pull_request":
            review = rule.parameters
            rules = _with_reviews(
                rules,
                review.required_approving_review_count,
                code_owners=review.require_code_owner_review,
                dismiss_stale=review.dismiss_stale_reviews_on_push,
                last_push=review.require_last_push_approval,
            )
        if rule.type == "required_status_checks":
            names = [check.context for check in rule.parameters.required_status_checks]
            rules = replace(rules, required_checks=(*rules.required_checks, *names))
    return rules


def _branch_rules(line: GitHubLine, main: str) -> list[Any]:
    deed = Deed("read the rules of the main branch", _READ)
    return list(line.read_rows(deed, line.rest.repos.get_branch_rules, branch=main))


def _with_reviews(
    rules: Rules, approvals: int, code_owners: bool, dismiss_stale: bool, last_push: bool
) -> Rules:
    """Of several rules GitHub lets the strictest hold."""
    return replace(
        rules,
        pull_request=True,
        approvals=max(rules.approvals, approvals),
        code_owners=rules.code_owners or code_owners,
        dismiss_stale=rules.dismiss_stale or dismiss_stale,
        last_push=rules.last_push or last_push,
    )


def _with_branch_protection(line: GitHubLine, main: str, rules: Rules) -> Rules:
    """The same with what branch protection adds, which is older than rulesets."""
    deed = Deed("read the protection of main", _READ)
    try:
        protection = line.ask(deed, line.rest.repos.get_branch_protection, branch=main)
    except RefusedByGitHub as refused:
        # Only an administrator's token may read it (403), and 404 says that there is none: what
        # rulesets alone enforce is then the least that holds.
        if refused.status in (403, 404):
            return rules
        raise
    checks, reviews = protection.required_status_checks, protection.required_pull_request_reviews
    settings = (protection.allow_force_pushes, protection.allow_deletions)
    forced = any(setting and setting.enabled is True for setting in settings)
    rules = replace(
        rules,
        required_checks=(*rules.required_checks, *(checks.contexts if checks else ())),
        no_force_push=rules.no_force_push or not forced,
    )
    if not reviews:
        return rules
    return _with_reviews(
        rules,
        reviews.required_approving_review_count or 0,
        code_owners=reviews.require_code_owner_reviews,
        dismiss_stale=reviews.dismiss_stale_reviews,
        last_push=reviews.require_last_push_approval is True,  # else UNSET, which is no bool
    )


def _with_tag_rules(line: GitHubLine, rules: Rules) -> Rules:
    kept: dict[str, None] = {}
    writers: tuple[str, ...] | None = None
    for brief in _list_rulesets(line):
        if brief.target != "tag" or brief.enforcement != "active":
            continue
        ruleset = _read_ruleset(line, brief)
        kinds = {rule.type for rule in ruleset.rules or ()}
        if {"deletion", "update"} <= kinds:
            kept |= dict.fromkeys(_guarded_tags(ruleset))
        if "creation" in kinds:
            actors = ruleset.bypass_actors or ()
            writers = tuple(_name_tag_writer(line, actor) for actor in actors)
    return replace(rules, protected_tags=tuple(kept), tag_writers=writers)


def _list_rulesets(line: GitHubLine) -> list[Any]:
    deed = Deed("read the rulesets", _READ)
    return list(line.read_rows(deed, line.rest.repos.get_repo_rulesets))


def _read_ruleset(line: GitHubLine, brief: Any) -> Any:
    call = line.rest.repos.get_repo_ruleset
    return line.ask(Deed("read a ruleset", _READ), call, ruleset_id=brief.id)


def _find_ruleset(line: GitHubLine, name: str) -> Any:
    return next((ruleset for ruleset in _list_rulesets(line) if ruleset.name == name), None)


def _guarded_tags(ruleset: Any) -> list[str]:
    names = ruleset.conditions.ref_name if ruleset.conditions else None
    # Whether one of ours is among those that it leaves out, only GitHub's own matching could tell.
    if not names or names.exclude:
        return []
    every = [pattern for pattern in names.include or () if pattern.startswith(_REFS)]
    return [pattern.removeprefix(_REFS) for pattern in every]


def _rules_of_main(rules: Rules, actual: Rules) -> list[dict[str, Any]]:
    """The rules of our ruleset on main: what is wanted, and what is enforced beside it."""
    names = dict.fromkeys((*rules.required_checks, *actual.required_checks))
    reviews = {
        "required_approving_review_count": max(rules.approvals, actual.approvals),
        "require_code_owner_review": rules.code_owners or actual.code_owners,
        "dismiss_stale_reviews_on_push": rules.dismiss_stale or actual.dismiss_stale,
        "require_last_push_approval": rules.last_push or actual.last_push,
        _TALKS: False,
    }
    ruleset_rules: list[dict[str, Any]] = [{"type": "deletion"}, {"type": "non_fast_forward"}]
    ruleset_rules.append({"type": "pull_request", "parameters": reviews})
    if names:
        checks = [{"context": name} for name in names]
        # Strict would ask each branch to be brought up to date with main before its merge, one
        # after the other; rivals are told apart by `replaces` already.
        strict = {"strict_required_status_checks_policy": False, "required_status_checks": checks}
        ruleset_rules.append({"type": "required_status_checks", "parameters": strict})
    return ruleset_rules


def _kept_rules(ruleset: Any) -> dict[str, dict[str, Any]]:
    """The rules that one of our rulesets has, by their kind: somebody may have added to it."""
    rules = (ruleset and ruleset.rules) or ()
    # Else githubkit writes null for what GitHub left out, and null is a setting when sent back.
    plain = (rule.model_dump(mode="json", exclude_unset=True) for rule in rules)
    return {rule["type"]: rule for rule in plain}


def _kept_patterns(ruleset: Any) -> list[str]:
    """The refs that it guards already."""
    names = ruleset.conditions.ref_name if ruleset and ruleset.conditions else None
    return list(names.include or ()) if names else []


def _with_kept(
    ours: Sequence[dict[str, Any]], kept: Mapping[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """Our rules, and what stands beside them: a merge queue, methods, conversations to resolve."""
    merged_rules = [*ours]
    for rule in merged_rules:
        old = kept.get(rule["type"], {}).get("parameters", {})
        if rule["type"] == "pull_request" and old:
            held = {key: old[key] for key in old if key not in rule["parameters"] or key == _TALKS}
            rule["parameters"] = {**rule["parameters"], **held}
        if rule["type"] == "required_status_checks" and old:
            rule["parameters"] = {**old, "required_status_checks": _join_checks(rule, old)}
    types = {rule["type"] for rule in merged_rules}
    return [*merged_rules, *(rule for name, rule in kept.items() if name not in types)]


def _join_checks(rule: Mapping[str, Any], old: Mapping[str, Any]) -> list[Any]:
    """The checks that are required: those of before as they were, of one app alone for instance."""
    before = old.get("required_status_checks", ())
    contexts = {check["context"] for check in before}
    ours = rule["parameters"]["required_status_checks"]
    return [*before, *(check for check in ours if check["context"] not in contexts)]


def _write_ruleset(
    line: GitHubLine,
    name: str,
    target: str,
    refs: Sequence[str],
    rules: Sequence[dict[str, Any]],
    free: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Make one of our rulesets, or bring it up to date: what somebody added to it stays."""
    our_ruleset = _find_ruleset(line, name)
    kept = _read_ruleset(line, our_ruleset) if our_ruleset else None
    guarded = list(dict.fromkeys([*refs, *_kept_patterns(kept)]))
    body = {
        "name": name, "target": target, "enforcement": "active",
        "conditions": {"ref_name": {"include": guarded, "exclude": []}},
        "rules": _with_kept(rules, _kept_rules(kept)), "bypass_actors": list(free),
    }  # fmt: skip
    repos, deed = line.rest.repos, Deed(f"set the ruleset `{name}`", _WRITE, "rulesets")
    if our_ruleset is None:
        line.ask(deed, repos.create_repo_ruleset, data=body)
        return f"ruleset `{name}` made"
    line.ask(deed, repos.update_repo_ruleset, ruleset_id=our_ruleset.id, data=body)
    return f"ruleset `{name}` brought up to date"


def _make_environment(line: GitHubLine, wanted: Environment) -> str:
    listed = _list_environments(line)
    existing = next((held for held in listed if held.name == wanted.name), None)
    # GitHub replaces an environment whole: what is not sent again is gone, so what a person set
    # there (a time to wait, reviewers where we want none) is sent as it was.
    body = _kept_settings(existing) if existing else {}
    if wanted.reviewers:
        body["reviewers"] = [_find_reviewer(line, name) for name in wanted.reviewers]
    chosen = wanted.branches is not None
    policy = {"protected_branches": False, "custom_branch_policies": True} if chosen else None
    body["deployment_branch_policy"] = policy
    deed = Deed(f"set the environment {wanted.name}", _WRITE, "environments")
    call = line.rest.repos.create_or_update_environment
    line.ask(deed, call, environment_name=wanted.name, data=body)
    if wanted.branches is not None:
        _restrict_branches(line, deed, wanted.name, wanted.branches)
    return f"environment {wanted.name} {'made' if existing is None else 'brought up to date'}"


def _list_environments(line: GitHubLine) -> list[Any]:
    deed = Deed("read the environments", _READ_ENVIRONMENTS)
    pages = line.read_pages(deed, line.rest.repos.get_all_environments)
    return [environment for page in pages for environment in page.environments or ()]


def _parse_environment(line: GitHubLine, environment: Any) -> Environment:
    people = [
        person
        for rule in environment.protection_rules or ()
        for person in getattr(rule, "reviewers", None) or ()  # a rule of waiting has none
    ]
    reviewers = tuple(
        f"@{line.owner}/{person.reviewer.slug}" if person.type == "Team" else person.reviewer.login
        for person in people
    )
    return Environment(environment.name, reviewers, _allowed_branches(line, environment))


def _allowed_branches(line: GitHubLine, environment: Any) -> tuple[str, ...] | None:
    policy = environment.deployment_branch_policy
    if not policy:
        return None
    if not policy.custom_branch_policies:
        return ("the protected branches",)
    deed = Deed(f"read the branches of the environment {environment.name}", _READ_ENVIRONMENTS)
    return tuple(name for name, _ in _branch_policies(line, deed, environment.name))


def _branch_policies(line: GitHubLine, deed: Deed, name: str) -> list[tuple[str, int]]:
    call = line.rest.repos.list_deployment_branch_policies
    pages = line.read_pages(deed, call, environment_name=name)
    return [(policy.name, policy.id) for page in pages for policy in page.branch_policies]


def _restrict_branches(line: GitHubLine, deed: Deed, name: str, branches: tuple[str, ...]) -> None:
    repos, policies = line.rest.repos, _branch_policies(line, deed, name)
    # What is wanted is added first: an environment is never without a branch that may use it.
    for branch in branches:
        if branch not in dict(policies):
            body = {"name": branch, "type": "branch"}
            call = repos.create_deployment_branch_policy
            line.ask(deed, call, environment_name=name, data=body)
    for branch, number in policies:
        if branch not in branches:
            call = repos.delete_deployment_branch_policy
            line.send(deed, call, environment_name=name, branch_policy_id=number)


def _kept_settings(environment: Any) -> dict[str, Any]:
    """What an environment has beside what we want of it: a time to wait, who must agree."""
    kept: dict[str, Any] = {}
    for rule in environment.protection_rules or ():
        if isinstance(getattr(rule, "wait_timer", None), int):
            kept["wait_timer"] = rule.wait_timer
        if people := getattr(rule, "reviewers", None):
            kept["reviewers"] = [{"type": who.type, "id": who.reviewer.id} for who in people]
            kept["prevent_self_review"] = rule.prevent_self_review is True
    return kept


def _find_reviewer(line: GitHubLine, name: str) -> dict[str, Any]:
    owner, _, slug = name.removeprefix("@").partition("/")
    if slug:
        deed = Deed(f"look for the team {name}", "members: read", f"team {name}")
        team: Any = line.ask_of(deed, line.rest.teams.get_by_name, org=owner, team_slug=slug)
        return {"type": "Team", "id": team.id}
    deed = Deed(f"look for the user {name}", "none", f"user {name}")
    user: Any = line.ask_of(deed, line.rest.users.get_by_username, username=owner)
    return {"type": "User", "id": user.id}


def _find_actor(line: GitHubLine, name: str) -> dict[str, Any]:
    """Who may pass a ruleset by, of a role, ``@owner/team`` or ``app/<id>``."""
    entry: dict[str, Any]
    if name in _ROLES:
        entry = {"actor_type": "RepositoryRole", "actor_id": _ROLES[name]}
    elif name.startswith("app/"):
        entry = {"actor_type": "Integration", "actor_id": int(name.removeprefix("app/"))}
    else:
        entry = {"actor_type": "Team", "actor_id": _find_reviewer(line, name)["id"]}
    return {**entry, "bypass_mode": "always"}


def _name_tag_writer(line: GitHubLine, actor: Any) -> str:
    """The same the other way, as the declaration names them."""
    kind, number = actor.actor_type, actor.actor_id
    if kind == "RepositoryRole":
        return next((role for role, id_ in _ROLES.items() if id_ == number), f"role/{number}")
    if kind == "Team":
        deed = Deed("list the teams", "administration: read")
        teams = line.read_rows(deed, line.rest.repos.list_teams)
        slugs = (team.slug for team in teams if team.id == number)
        return next((f"@{line.owner}/{slug}" for slug in slugs), f"team/{number}")
    return f"app/{number}" if kind == "Integration" else str(kind)
