"""What a page of files hangs on: where that is as it was, the page is not made again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath import __version__
from towpath.backends.git import refs
from towpath.errors import TowpathError
from towpath.execution import run_folders, run_record
from towpath.studio.page_templates import ASSETS

if TYPE_CHECKING:
    from towpath.studio.project_facts import ProjectFacts


class PageStates(Struct, frozen=True, dict=True):
    """Digests of what pages of one build hang on."""

    facts: ProjectFacts

    def state_of(self, path: str, names: Mapping[str, str]) -> str:
        """A digest for the page of a version or of a run that has ended; "" for others, which are
        made anew each time."""
        if path == "models/{model}/{version}/":
            return self._registry
        if path.startswith("runs/{run}/"):
            return self._state_of_run(names["run"])
        return ""

    def _state_of_run(self, name: str) -> str:
        folder = self.facts.workspace.runs / name
        try:
            log = (folder / run_record.EVENTS).stat()
            run = run_record.read_run(folder)
        except (OSError, TowpathError):
            return ""
        if run is None or not run.state.has_ended:
            return ""
        # What is fetched since, or is one of too many by now, has a page, or none.
        outputs = (f"{o.step}.{o.output}" for o in self.facts.site_outputs if o.run == name)
        return _digest_words(self._registry, str(log.st_mtime_ns), str(log.st_size), *outputs)

    @cached_property
    def _registry(self) -> str:
        """The registry, the declarations, and what every page shows."""
        facts = self.facts
        try:
            held = refs.list_ref_objects(facts.workspace.registry)
        except TowpathError:
            held = {}
        shell = (__version__, facts.name, *facts.stages, *facts.notes, *_own_files())
        waiting = [promotion.branch for promotion in facts.waiting_promotions]
        return _digest_words(*shell, *map(repr, held.items()), *waiting, *self._declarations())

    def _declarations(self) -> Iterator[str]:
        root = self.facts.root
        for path in sorted((*root.glob("*.yaml"), *root.glob("flows/**/*.yaml"))):
            if path.is_file():
                yield f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        # A version's page leads to its run where that is here.
        yield from run_folders.list_run_names(self.facts.workspace.runs)


def _own_files() -> Iterator[str]:
    """The files of which pages are made: who works on them sees a change at once."""
    for path in sorted(ASSETS.parent.rglob("*")):
        if path.suffix in (".py", ".jinja", ".css", ".js"):
            facts = path.stat()
            yield f"{path.name} {facts.st_size} {facts.st_mtime_ns}"


def _digest_words(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode("utf-8", "surrogateescape")).hexdigest()
