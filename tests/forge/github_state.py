"""What the test server knows: people, teams, and repositories with their pull requests."""

from __future__ import annotations

import fnmatch
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from github_merging import between, git, resolve

_HOOK = """\
#!/bin/sh
# What a forge refuses: pushes to the protected main branch, and tags that its rulesets guard.
zero=0000000000000000000000000000000000000000
while read -r old new ref; do
  kind=update
  [ "$old" = $zero ] && kind=creation
  [ "$new" = $zero ] && kind=deletion
  if [ "$ref" = refs/heads/main ] && [ -e protected ] && [ $kind != creation ]; then
    echo "error: GH006: Protected branch update failed for $ref." >&2
    echo "error: Changes must be made through a pull request." >&2
    exit 1
  fi
  [ -e guarded ] || continue
  while read -r doing pattern free; do
    [ "$doing" = $kind ] || continue
    case "$free" in *",$REMOTE_USER,"*) continue;; esac
    case "$ref" in
      $pattern)
        echo "error: GH013: Repository rule violations found for $ref." >&2
        echo "- Cannot ${doing%ion} this ref due to its rules" >&2
        exit 1;;
    esac
  done < guarded
done
exit 0
"""
_counter = itertools.count(1)
METHODS = {"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}


def now() -> str:
    """This second, as GitHub writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Person:
    """A user, or an app, with a token."""

    login: str
    token: str
    id: int = field(default_factory=lambda: next(_counter))

    @property
    def author(self) -> tuple[str, str]:
        """The name and the mail that GitHub commits with."""
        return self.login, f"{self.id}+{self.login}@users.noreply.github.com"


@dataclass
class Said:
    """A review."""

    id: int
    user: Person
    state: str
    body: str
    commit: str
    time: str = field(default_factory=now)


@dataclass
class Pull:
    """A pull request."""

    number: int
    title: str
    body: str | None
    branch: str
    base: str
    author: Person
    head: str
    open: bool = True
    merged_by: Person | None = None
    merged_at: str | None = None
    merge_commit: str | None = None
    brought: tuple[str, ...] = ()
    reviews: list[Said] = field(default_factory=list)
    comments: list[tuple[Person, str]] = field(default_factory=list)
    time: str = field(default_factory=now)
    named: str = ""  # the commit that its ref in the repository names
    fork: Hosted | None = None  # whose branch it is, where it is not the repository's own


@dataclass
class Hosted:
    """A repository: bare Git, and all that is not Git."""

    name: str
    path: Path
    rights: dict[str, str] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    protection: dict[str, Any] | None = None
    rulesets: dict[int, dict[str, Any]] = field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    branches: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    checks: dict[tuple[str, str], str] = field(default_factory=dict)
    methods: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(METHODS, True))

    @property
    def owner(self) -> str:
        """The organisation."""
        return self.name.partition("/")[0]

    def right(self, person: Person) -> str:
        """What a person may: ``admin``, ``write`` (the usual), ``read`` or ``none``."""
        return self.rights.get(person.login, "write")

    def check(self, commit: str, name: str, state: str = "success") -> None:
        """Say that a required check of a commit ended."""
        self.checks[commit, name] = state

    def pull(self, number: int) -> Pull:
        """A pull request as it stands, its head where its branch is now."""
        pull = self.pulls[number]
        head = (pull.fork or self).branch(pull.branch, self) if pull.open else None
        if head and head != pull.head:
            pull.head = head
            if self._dismisses():
                for review in pull.reviews:
                    review.state = "DISMISSED" if review.state == "APPROVED" else review.state
        if pull.named != pull.head:
            git(self.path, "update-ref", f"refs/pull/{number}/head", pull.head)
            pull.named = pull.head
        return pull

    def branch(self, name: str, base: Hosted) -> str | None:
        """The commit of a branch, which the repository that it is proposed to then has, too."""
        head = resolve(self.path, f"refs/heads/{name}")
        if head and self is not base:
            git(base.path, "fetch", "--quiet", str(self.path), head)
        return head

    def of_commit(self, commit: str) -> list[Pull]:
        """The pull requests that brought a commit, or would."""
        found = []
        for number in self.pulls:
            pull = self.pull(number)
            waiting = between(self.path, f"refs/heads/{pull.base}", pull.head) if pull.open else ()
            if commit in (*pull.brought, *waiting):
                found.append(pull)
        return found

    def refusal(self, pull: Pull) -> str | None:
        """Why the rules of the base do not let a pull request be merged."""
        if pull.base != "main":
            return None
        for check in self.required_checks():
            if self.checks.get((pull.head, check)) != "success":
                return f'Required status check "{check}" is expected.'
        wanted = self.wanted_reviews()
        last = {r.user.login: r for r in pull.reviews if r.state != "COMMENTED"}
        approved = {login for login, review in last.items() if review.state == "APPROVED"}
        if len(approved) < (needed := max((rule["count"] for rule in wanted), default=0)):
            return f"At least {needed} approving review is required by reviewers with write access."
        if any(rule["owners"] for rule in wanted) and self._unowned(pull, approved):
            return "Waiting on code owner review."
        return None

    def unmergeable(self, method: str) -> str | None:
        """Why nothing is merged in this way, whatever it is."""
        types = {rule["type"] for rule in self.main_rules()}
        if "merge_queue" in types:
            return "Changes must be made through the merge queue"
        if not self.methods[method]:
            return f"{METHODS[method]} are not allowed on this repository."
        old = (self.protection or {}).get("required_linear_history")
        if method == "merge" and (old or "required_linear_history" in types):
            return "Merge commits are not allowed on this repository."
        return None

    def main_rules(self) -> list[dict[str, Any]]:
        """The rules of the active rulesets on main."""
        return [
            {**rule, "ruleset_id": ruleset["id"], "ruleset_source": self.name}
            for ruleset in self.rulesets.values()
            if ruleset["target"] == "branch" and ruleset["enforcement"] == "active"
            if "~DEFAULT_BRANCH" in ruleset["conditions"]["ref_name"]["include"]
            for rule in ruleset["rules"]
        ]

    def required_checks(self) -> list[str]:
        """The checks without which nothing is merged into main."""
        found = ((self.protection or {}).get("required_status_checks") or {}).get("checks", [])
        for rule in self.main_rules():
            if rule["type"] == "required_status_checks":
                found = [*found, *rule["parameters"]["required_status_checks"]]
        return [check["context"] for check in found]

    def wanted_reviews(self) -> list[dict[str, Any]]:
        """What rulesets and protection want of reviews; with one, main takes no direct push."""
        old = (self.protection or {}).get("required_pull_request_reviews")
        keys = ("required_approving_review_count", "require_code_owner_reviews")
        found = []
        if old is not None:
            found = [(old.get(keys[0], 1), old.get(keys[1]), old.get("dismiss_stale_reviews"))]
        for rule in self.main_rules():
            if rule["type"] == "pull_request":
                p = rule["parameters"]
                stale = p["dismiss_stale_reviews_on_push"]
                found.append((p[keys[0]], p["require_code_owner_review"], stale))
        return [{"count": c, "owners": o, "dismisses": d} for c, o, d in found]

    def guard(self, logins: dict[int, str]) -> None:
        """Write down for the hook what main's protection and the rulesets refuse."""
        (self.path / "protected").unlink(missing_ok=True)
        if self.wanted_reviews():
            (self.path / "protected").touch()
        rows = [
            f"{rule['type']} {pattern} ,{','.join(_free(ruleset, logins))},"
            for ruleset in self.rulesets.values()
            if ruleset["target"] == "tag" and ruleset["enforcement"] == "active"
            for rule in ruleset["rules"]
            for pattern in ruleset["conditions"]["ref_name"]["include"]
        ]
        (self.path / "guarded").write_text("".join(f"{row}\n" for row in rows))

    def _dismisses(self) -> bool:
        return any(rule["dismisses"] for rule in self.wanted_reviews())

    def _unowned(self, pull: Pull, approved: set[str]) -> list[str]:
        """The changed files of which no owner approved."""
        spec = f"refs/heads/{pull.base}:.github/CODEOWNERS"
        text = git(self.path, "show", spec) if self._has(spec) else ""
        changed = git(self.path, "diff", "--name-only", f"{pull.base}...{pull.head}").splitlines()
        owners = {path: _owners(text, path) for path in changed}
        return [path for path, names in owners.items() if names and not names & approved]

    def _has(self, spec: str) -> bool:
        tree, _, path = spec.partition(":")
        return bool(resolve(self.path, tree) and git(self.path, "ls-tree", tree, path))


def _free(ruleset: dict[str, Any], logins: dict[int, str]) -> list[str]:
    """Who may pass a ruleset by."""
    return [logins[a["actor_id"]] for a in ruleset["bypass_actors"] if a["actor_id"] in logins]


def _owners(text: str, path: str) -> set[str]:
    """The people of the last line of CODEOWNERS that fits (folders and globs; teams unread)."""
    found: set[str] = set()
    for line in text.splitlines():
        pattern, *names = line.partition("#")[0].split() or [""]
        if pattern and (
            path.startswith(pattern.strip("/") + "/") or fnmatch.fnmatch(path, pattern.strip("/"))
        ):
            found = {name.removeprefix("@") for name in names}
    return found


def new_repository(name: str, path: Path) -> Hosted:
    """An empty repository that can be pushed to over HTTP."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--bare", "--initial-branch=main", ".")
    git(path, "config", "http.receivepack", "true")
    hook = path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(_HOOK)
    hook.chmod(0o755)
    return Hosted(name, path)
