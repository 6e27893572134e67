"""From githubkit's types to ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from towpath.forge.forge import PullRequest, Review, State

_GHOST = "ghost"  # what GitHub itself calls a user who is no more


def parse_pull_request(pull: Any) -> PullRequest:
    """A pull request, whole or as in a list."""
    merged_by = getattr(pull, "merged_by", None)
    state = "merged" if pull.merged_at else pull.state
    return PullRequest(
        number=pull.number,
        url=pull.html_url,
        title=pull.title,
        body=pull.body or "",
        state=cast(State, state),
        branch=pull.head.ref,
        head=pull.head.sha,
        base=pull.base.ref,
        author=pull.user.login if pull.user else _GHOST,
        merged_by=merged_by.login if merged_by else None,
        labels=tuple(label.name for label in pull.labels if isinstance(label.name, str)),
    )


def parse_review(said: Any) -> Review:
    """A review."""
    return Review(
        user=said.user.login if said.user else _GHOST,
        state=said.state.lower(),
        commit=said.commit_id or "",
        time=_utc_time(said.submitted_at),
        url=said.html_url,
    )


def _utc_time(moment: Any) -> str:
    """A time as elsewhere; empty for a review that was not handed in."""
    if not isinstance(moment, datetime):
        return ""
    return moment.astimezone(UTC).isoformat()[:19] + "Z"
