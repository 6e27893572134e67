"""Data: the sets that pipelines read, their versions, checks over time, and what used each."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from towpath.config.file_declaration import Input
from towpath.errors import TowpathError
from towpath.planning.declared_pipelines import read_declared
from towpath.quantities import readable_size
from towpath.studio.pages.page_kind import NoSuchPage, PageRequest
from towpath.studio.pages.run_filter import RunFilter, list_found_runs
from towpath.studio.shown_values import show_person

if TYPE_CHECKING:
    from towpath.audit.data_history import DataVersion
    from towpath.execution.run_summary import CheckSummary
    from towpath.registry import ModelVersion
    from towpath.studio.pages.run_facts import RunLine
    from towpath.studio.project_facts import ProjectFacts

_LONGEST = 120  # bytes of a part of an address
_RUNS, _CHECKS, _VERSIONS, _USERS = 20, 100, 100, 12


class DataCheck(Struct, frozen=True):
    """What a check of a run said of the data."""

    run: str
    started: str
    digest: str
    check: CheckSummary


class DataSetVersion(Struct, frozen=True):
    """A digest that the data had. ``commit`` is empty where only runs saw it; ``runs`` read it,
    ``models`` are versions that were made of it."""

    digest: str
    since: str
    by: str
    size: str
    files: int | None
    commit: str
    subject: str
    runs: tuple[str, ...]
    models: tuple[str, ...]
    check: DataCheck | None


class DataSet(Struct, frozen=True):
    """``name`` is a path, or what an input names instead; ``page`` its name in an address;
    ``inputs`` are the pipelines that declare it, and as what. The newest stands first."""

    name: str
    page: str
    inputs: tuple[tuple[str, str], ...]
    versions: tuple[DataSetVersion, ...]
    checks: tuple[DataCheck, ...]
    runs: tuple[RunLine, ...]
    is_gone: bool

    @property
    def model_count(self) -> int:
        return len({name for version in self.versions for name in version.models})


class DataList(Struct, frozen=True):
    sets: tuple[DataSet, ...]
    unread: int


class DataPage(Struct, frozen=True):
    data: DataSet
    unread: int
    left_out: int


class _Gathered(Struct):
    """What is known of one data set while all of them are gathered."""

    inputs: dict[tuple[str, str], None] = field(default_factory=dict)
    history: tuple[DataVersion, ...] = ()
    runs: list[RunLine] = field(default_factory=list)
    runs_by_digest: dict[str, list[RunLine]] = field(default_factory=dict)


def gather_data(facts: ProjectFacts, _: PageRequest) -> DataList:
    sets, unread = _gather_sets(facts)
    return DataList(tuple(sets), unread)


def gather_data_set(facts: ProjectFacts, request: PageRequest) -> DataPage:
    name = request.names["data"]
    sets, unread = _gather_sets(facts)
    data = next((data for data in sets if data.page == name), None)
    if data is None:
        raise NoSuchPage(f"no data `{name[:80]}`")
    return DataPage(data, unread, max(0, len(data.runs) - _RUNS))


def name_data_page(name: str) -> str:
    """A path as one part of an address, and the name of a folder: whatever a record calls its data,
    no other page's place is meant by it."""
    page = re.sub(r"[^\w.@+-]", "~", name)
    plain = name.replace("/", "~")
    if page == plain and "~" not in name and page.strip(".") and len(page.encode()) <= _LONGEST:
        return page
    return f"{page[:40].strip('.')}~{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def list_tracked_names(facts: ProjectFacts) -> list[str]:
    """What pipelines declare and DVC tracks, by name; no record of a run is read."""
    declared = (place for _, _, place in _declared_inputs(facts))
    return sorted({*declared, *facts.data_history})


def list_data_names(facts: ProjectFacts) -> list[str]:
    """The pages there are."""
    return [data.page for data in _gather_sets(facts)[0]]


def _gather_sets(facts: ProjectFacts) -> tuple[list[DataSet], int]:
    by_place: defaultdict[str, _Gathered] = defaultdict(_Gathered)
    for pipeline, name, place in _declared_inputs(facts):
        by_place[place].inputs[(pipeline, name)] = None
    for path, versions in facts.data_history.items():
        by_place[path].history = versions
    runs = list_found_runs(facts, RunFilter())
    for run in runs.runs:
        for name, digest in run.data.items():
            read_place = run.places.get(name, "").rstrip("/")
            # Of a model that is an input the page of its version tells.
            if read_place and "@" not in read_place and isinstance(digest, str):
                by_place[read_place].runs.append(run)
                by_place[read_place].runs_by_digest.setdefault(digest, []).append(run)
    models = facts.registry_lineage.index.versions_by_input
    checks = _checks_by_digest(runs.runs)
    sets = (
        _make_set(name, gathered, models, checks) for name, gathered in sorted(by_place.items())
    )
    return list(sets), runs.unread


def _declared_inputs(facts: ProjectFacts) -> Iterator[tuple[str, str, str]]:
    for pipeline in facts.workspace.pipelines:
        try:
            inputs = read_declared(facts.workspace, pipeline).pipeline.inputs
        except TowpathError:  # its own page says what is wrong
            continue
        for name, declared in inputs.items():
            is_model = isinstance(declared, Input) and declared.is_model
            place = declared.path if isinstance(declared, Input) else str(declared)
            if not is_model and "@" not in place and "#" not in place:
                yield pipeline, name, place.rstrip("/")


def _checks_by_digest(runs: Sequence[RunLine]) -> Mapping[str, list[DataCheck]]:
    checks: defaultdict[str, list[DataCheck]] = defaultdict(list)
    for run in runs:
        for check in run.checks:
            checks[check.digest].append(DataCheck(run.id, run.started, check.digest, check))
    return checks


def _make_set(
    name: str, gathered: _Gathered, models: Mapping[str, Sequence[ModelVersion]],
    checks: Mapping[str, list[DataCheck]],
) -> DataSet:  # fmt: skip
    committed = {version.digest for version in gathered.history if version.digest is not None}
    uncommitted = (digest for digest in gathered.runs_by_digest if digest not in committed)
    history = (version for version in gathered.history if version.digest is not None)
    places = [*((digest, None) for digest in uncommitted), *((v.digest or "", v) for v in history)]
    versions = [_make_version(*place, gathered, models, checks) for place in places]
    listed = sorted(versions, key=lambda version: version.since, reverse=True)
    digests = dict.fromkeys(version.digest for version in listed)
    all_checks = [check for digest in digests for check in checks.get(digest, ())]
    all_checks.sort(key=lambda check: check.run, reverse=True)
    return DataSet(
        name, name_data_page(name), tuple(gathered.inputs), tuple(listed[:_VERSIONS]),
        tuple(all_checks[:_CHECKS]), tuple(gathered.runs),
        bool(gathered.history) and gathered.history[0].digest is None,
    )  # fmt: skip


def _make_version(
    digest: str, version: DataVersion | None, gathered: _Gathered,
    models: Mapping[str, Sequence[ModelVersion]], checks: Mapping[str, list[DataCheck]],
) -> DataSetVersion:  # fmt: skip
    """Of a digest that no commit has, what runs know of it."""
    runs = gathered.runs_by_digest.get(digest, [])
    origin = (
        (version.time, show_person(version.author), readable_size(version.size), version.files,
         version.commit, version.subject)
        if version
        else (runs[-1].started, runs[-1].author, "", None, "", "")
    )  # fmt: skip
    # The last versions that were made of it, the newest first.
    users = tuple(str(user) for user in reversed(models.get(digest, ())[-_USERS:]))
    check = next(iter(checks.get(digest, ())), None)
    return DataSetVersion(digest, *origin, tuple(run.id for run in runs), users, check)
