"""What GitHub enforces: rulesets on main and on tags, the older branch protection, environments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from towpath.backends.github import environments
from towpath.backends.github.github_requests import GitHubLine
from towpath.backends.github.refusals import Deed, RefusedByGitHub
from towpath.forge.forge import MergeWays, Method, Rules
from towpath.forge.forge_requirements import Lack, find_lacking_rules

MAIN = "towpath: main"
TAGS = "towpath: tags"
WRITERS = "towpath: who makes tags"
_READ = "metadata: read"
_WRITE = "administration: write"
_ROLES = {2: "maintain", 4: "write", 5: "admin"}
_REFS = "refs/tags/"
_TALKS = "required_review_thread_resolution"


def read_enforced_rules(line: GitHubLine) -> Rules:
    """What is enforced now, whichever ruleset or protection does it."""
    main = _default_branch(line)
    enforced = _with_branch_protection(line, main, _of_main(line, main))
    return replace(_of_tags(line, enforced), environments=environments.read_environments(line))


def merge_ways(line: GitHubLine) -> MergeWays:
    """How GitHub merges into main. Who may not push is not told which methods the repository
    allows: then all that no rule forbids."""
    repository: Any = line.ask(Deed(f"read {line.name}", _READ), line.github.rest.repos.get)
    allowed_methods: dict[Method, object] = {
        "merge": repository.allow_merge_commit,
        "squash": repository.allow_squash_merge,
        "rebase": repository.allow_rebase_merge,
    }
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
    lacking = find_lacking_rules(rules, actual)
    changes = []
    if _is_lacking_at(lacking, "main"):
        ours = _with_kept(_rules_of_main(rules, actual), _kept_rules(line, MAIN))
        changes.append(_write_ruleset(line, MAIN, "branch", ["~DEFAULT_BRANCH"], ours))
    if _is_lacking_at(lacking, "tags"):
        patterns = [f"{_REFS}{pattern}" for pattern in rules.protected_tags]
        changes.append(
            _write_ruleset(line, TAGS, "tag", patterns, [{"type": "deletion"}, {"type": "update"}])
        )
        if rules.tag_writers is not None:
            free = [environments.find_actor(line, name) for name in rules.tag_writers]
            changes.append(
                _write_ruleset(line, WRITERS, "tag", patterns, [{"type": "creation"}], free)
            )
    for name, place in rules.environments.items():
        if _is_lacking_at(lacking, f"environment {name}"):
            changes.append(environments.make_environment(line, place))
    return changes


def _is_lacking_at(lacking: Sequence[Lack], where: str) -> bool:
    return any(lack.where == where for lack in lacking)


def _default_branch(line: GitHubLine) -> str:
    repository: Any = line.ask(Deed(f"read {line.name}", _READ), line.github.rest.repos.get)
    return str(repository.default_branch)


def _of_main(line: GitHubLine, main: str) -> Rules:
    """The rules of all rulesets that hold for the main branch, an organisation's too."""
    branch_rules = _branch_rules(line, main)
    types = {rule.type for rule in branch_rules}
    rules = Rules(
        no_force_push={"non_fast_forward", "deletion"} <= types,
        merge_queue="merge_queue" in types,
    )
    for rule in branch_rules:
        if rule.type == "pull_request":
            rules = _with_review_rules(rules, rule.parameters)
        if rule.type == "required_status_checks":
            names = [check.context for check in rule.parameters.required_status_checks]
            rules = replace(rules, required_checks=(*rules.required_checks, *names))
    return rules


def _branch_rules(line: GitHubLine, main: str) -> list[Any]:
    deed = Deed("read the rules of the main branch", _READ)
    call: Any = line.github.rest.repos.get_branch_rules
    return [rule for page in line.read_pages(deed, call, branch=main) for rule in page]


def _with_review_rules(rules: Rules, given: Any) -> Rules:
    return replace(
        rules,
        pull_request=True,
        approvals=max(rules.approvals, given.required_approving_review_count),
        code_owners=rules.code_owners or given.require_code_owner_review,
        dismiss_stale=rules.dismiss_stale or given.dismiss_stale_reviews_on_push,
        last_push=rules.last_push or given.require_last_push_approval,
    )


def _with_branch_protection(line: GitHubLine, main: str, rules: Rules) -> Rules:
    """The same with what branch protection adds; only an administrator's token can read that."""
    call: Any = line.github.rest.repos.get_branch_protection
    try:
        protection: Any = line.ask(Deed("read the protection of main", _READ), call, branch=main)
    except RefusedByGitHub as refused:
        if refused.status in (403, 404):
            return rules
        raise
    checks, reviews = protection.required_status_checks, protection.required_pull_request_reviews
    names = tuple(checks.contexts) if checks else ()
    forced = [
        setting
        for setting in (protection.allow_force_pushes, protection.allow_deletions)
        if setting
    ]
    rules = replace(
        rules,
        required_checks=(*rules.required_checks, *names),
        no_force_push=rules.no_force_push or not any(setting.enabled is True for setting in forced),
    )
    if not reviews:
        return rules
    return replace(
        rules,
        pull_request=True,
        approvals=max(rules.approvals, reviews.required_approving_review_count or 0),
        code_owners=rules.code_owners or reviews.require_code_owner_reviews,
        dismiss_stale=rules.dismiss_stale or reviews.dismiss_stale_reviews,
        last_push=rules.last_push or reviews.require_last_push_approval is True,
    )


def _of_tags(line: GitHubLine, rules: Rules) -> Rules:
    """The same with the rulesets on tags."""
    kept: dict[str, None] = {}
    writers: tuple[str, ...] | None = None
    for ruleset in _active_rulesets(line, "tag"):
        kinds = {rule.type for rule in ruleset.rules or ()}
        if {"deletion", "update"} <= kinds:
            kept |= dict.fromkeys(_guarded_tags(ruleset))
        if "creation" in kinds:
            writers = tuple(
                environments.name_tag_writer(line, actor, _ROLES)
                for actor in ruleset.bypass_actors or ()
            )
    return replace(rules, protected_tags=tuple(kept), tag_writers=writers)


def _active_rulesets(line: GitHubLine, target: str) -> Iterator[Any]:
    """The active rulesets on branches or tags, each whole."""
    for brief in _list_rulesets(line):
        if brief.target == target and brief.enforcement == "active":
            call: Any = line.github.rest.repos.get_repo_ruleset
            yield line.ask(Deed("read a ruleset", _READ), call, ruleset_id=brief.id)


def _list_rulesets(line: GitHubLine) -> list[Any]:
    call: Any = line.github.rest.repos.get_repo_rulesets
    return [
        ruleset
        for page in line.read_pages(Deed("read the rulesets", _READ), call)
        for ruleset in page
    ]


def _guarded_tags(ruleset: Any) -> list[str]:
    """The tags that a ruleset guards, unless it leaves some of them out."""
    names = ruleset.conditions.ref_name if ruleset.conditions else None
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
        strict = {"strict_required_status_checks_policy": False, "required_status_checks": checks}
        ruleset_rules.append({"type": "required_status_checks", "parameters": strict})
    return ruleset_rules


def _kept_rules(line: GitHubLine, name: str) -> dict[str, dict[str, Any]]:
    """The rules that one of our rulesets has, by their kind: somebody may have added to it."""
    our_ruleset = next((ruleset for ruleset in _list_rulesets(line) if ruleset.name == name), None)
    if our_ruleset is None:
        return {}
    call: Any = line.github.rest.repos.get_repo_ruleset
    whole: Any = line.ask(Deed("read a ruleset", _READ), call, ruleset_id=our_ruleset.id)
    plain = (rule.model_dump(mode="json", exclude_unset=True) for rule in whole.rules or ())
    return {rule["type"]: rule for rule in plain}


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
    types = {rule["type"] for rule in merged_rules}
    return [*merged_rules, *(rule for name, rule in kept.items() if name not in types)]


def _write_ruleset(
    line: GitHubLine,
    name: str,
    target: str,
    refs: Sequence[str],
    rules: Sequence[Mapping[str, Any]],
    free: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Make one of our rulesets, or bring it up to date."""
    our_ruleset = next((ruleset for ruleset in _list_rulesets(line) if ruleset.name == name), None)
    body = {
        "name": name,
        "target": target,
        "enforcement": "active",
        "conditions": {"ref_name": {"include": list(refs), "exclude": []}},
        "rules": list(rules),
        "bypass_actors": list(free),
    }
    repos, deed = line.github.rest.repos, Deed(f"set the ruleset `{name}`", _WRITE, "rulesets")
    if our_ruleset is None:
        line.ask(deed, repos.create_repo_ruleset, data=body)
        return f"ruleset `{name}` made"
    line.ask(deed, repos.update_repo_ruleset, ruleset_id=our_ruleset.id, data=body)
    return f"ruleset `{name}` brought up to date"
