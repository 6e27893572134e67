"""The address of a page of each kind, of a project that has them all."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import httpx

from towpath.studio.page_index import PAGES
from towpath.studio.pages.page_kind import PageKind
from towpath.studio.project_facts import ProjectFacts

LONGEST = 1.0  # seconds that a server takes for a page
#: What a page that answers a question is asked, of a project with two runs.
QUESTIONS = {
    "step_output": "runs/{run}/{step}/{output}/",
    "run_comparison": "compare/runs/?run={run}&run={other}",
    "log_comparison": "compare/logs/?run={run}&run={other}&step=fit",
    "version_comparison": "compare/versions/?version=mean@v1.0.0",
    "search": "search/?q=mean",
}


def list_addresses(root: Path) -> tuple[str, ...]:
    """An address of each row of the table of pages, while nothing is away yet; of runs of
    deployments none, as no API is asked for it."""
    facts = ProjectFacts(root)
    runs = [run for run in reversed(facts.recent_runs(9)) if run.steps["fit"].made.outputs]
    names = {"run": runs[0].id, "other": runs[1].id, "step": "fit", "output": "model"}
    return tuple(f"/{path}" for kind in PAGES for path in _paths_of(kind, facts, names))


def _paths_of(kind: PageKind, facts: ProjectFacts, names: dict[str, str]) -> Iterator[str]:
    if kind.template in QUESTIONS:
        yield QUESTIONS[kind.template].format(**names)
    for listed in itertools.islice(kind.list_names(facts), 1):
        yield kind.path.format(**listed)


def walk_pages(client: httpx.Client, addresses: Iterable[str]) -> dict[str, httpx.Response]:
    """The answers. Each is a page, in time and without a traceback, whatever is away."""
    answers: dict[str, httpx.Response] = {}
    for address in addresses:
        answer, seconds = _time_page(client, address)
        if seconds > LONGEST:  # a machine at work may be slow once
            answer, seconds = _time_page(client, address)
        assert seconds < LONGEST, (address, seconds)
        assert "Towpath" in answer.text and "<main" in answer.text, (address, answer.text[:300])
        assert "Traceback" not in answer.text, address
        answers[address] = answer
    return answers


def _time_page(client: httpx.Client, address: str) -> tuple[httpx.Response, float]:
    begun = time.monotonic()
    answer = client.get(address)
    return answer, time.monotonic() - begun


def find_unfit(answers: dict[str, httpx.Response], allowed: Sequence[str] = ()) -> list[str]:
    """The pages that did not stay, but for those below ``allowed``: of what nobody can read they
    may say that."""
    return [
        f"{address} {answer.status_code}"
        for address, answer in answers.items()
        if answer.status_code != 200
        and not (address.startswith(tuple(allowed)) and "Cannot be shown now" in answer.text)
    ]
