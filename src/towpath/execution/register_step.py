"""Registering in a run: whether it may, whether it was done before, and what the record says."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from towpath import registry
from towpath.config.artifact import Artifact, CacheEntry, Json, Made
from towpath.config.pipeline_declaration import AnyStep, BiasCheck, QualityCheck, RegisterModel
from towpath.errors import Fault, RegistryError, StepFailed, TowpathError, UserError
from towpath.execution import project_outputs, version_commit
from towpath.execution.commit_checks import CLOCK_STEP, LITERALLY, CommitChecks, may_have_changed
from towpath.execution.input_sources import (
    UpstreamLink,
    UpstreamReader,
    locate_inputs,
    upstream_runs,
)
from towpath.execution.run_folders import flatten_leaves
from towpath.execution.run_record import utc_now
from towpath.pipeline import artifact_paths, cache_key
from towpath.pipeline.step_graph import Graph, Node, outputs_of
from towpath.planning import run_state
from towpath.planning.run_state import RunState, StepDecision, StepNotEnded, StepVerdict
from towpath.registry import (
    RecordedBump,
    RecordedCode,
    VersionRecord,
    registry_state,
    shared_registry,
)
from towpath.registry.version_record import KeptFile
from towpath.storage.verified_bytes import sha256_of
from towpath.versions.work_tree_files import find_own_files
from towpath.workspace import PROJECT_FILE, Workspace

if TYPE_CHECKING:
    from towpath.backends.git import Repository


#: What of a step's declaration does not touch what it makes.
_INDIFFERENT = {"description", "trials"}
DECLARE = "name it under `inputs` or `code`, and commit it"
TRIAL = "a trial; `towpath register RUN` registers it"


class Registering(Struct, frozen=True, dict=True):
    """The registry as one run sees it; where it is ``required``, not to register is an error.

    A run with other values than the declared ones is a trial, and registers nothing unless it is
    ``asked`` to, or the step says ``trials: register``; ``insisted`` makes that an error too.
    ``planned`` is when the code was read, in nanoseconds since 1970.
    """

    workspace: Workspace
    graph: Graph
    required: bool = False
    asked: bool = False
    insisted: bool = False
    planned: int = 0

    @property
    def readiness(self) -> registry.ReadyToRegister | registry.RegistrationSkipped:
        """Whether this run may register; UserError with every fault where it must and may not."""
        standing = self.found_readiness
        if self.required and isinstance(standing, registry.RegistrationSkipped):
            unseen = self._seen_registry
            if isinstance(unseen, TowpathError) and standing.faults == unseen.faults:
                raise unseen
            faults = standing.faults
            raise UserError(*(Fault(f"cannot register: {f.what}", f.place, f.hint) for f in faults))
        return standing

    @cached_property
    def found_readiness(self) -> registry.ReadyToRegister | registry.RegistrationSkipped:
        """The same without an error; looked at once, before the run's first step."""
        readiness = self._commit_readiness()
        unseen = self._seen_registry if isinstance(self._seen_registry, TowpathError) else None
        if unseen is None or isinstance(readiness, registry.RegistrationSkipped):
            return readiness
        return registry.RegistrationSkipped("; ".join(f.what for f in unseen.faults), unseen.faults)

    def require_readiness(self, steps: Iterable[str]) -> None:
        """Ask before the first step whether each of ``steps`` may register, where it must."""
        steps = tuple(steps)
        trials = [step for step in steps if self.is_trial(self.graph.nodes[step].step)]
        if trials and self.insisted:
            by = ", ".join(f"`{step}`" for step in trials)
            only = f" by {by}" if len(trials) < len(steps) else ""
            tried = ", ".join(self.graph.tried_names)
            what = f"cannot register{only}: a trial, with another {tried}"
            raise UserError(what, hint="--register registers it all the same")
        _ = self.found_readiness if len(trials) == len(steps) else self.readiness

    def is_trial(self, step: AnyStep) -> bool:
        """Whether a step leaves its registration to `towpath register`."""
        registers = isinstance(step, RegisterModel) and step.trials == "register"
        return bool(self.graph.tried_names) and not self.asked and not registers

    def _commit_readiness(self) -> registry.ReadyToRegister | registry.RegistrationSkipped:
        """Whether all that goes into a version is committed: files to Git, tracked data by its
        pointer, what other pipelines made by their code and data."""
        repository = self.workspace.repository
        readiness = registry.judge_readiness(repository, written=self._is_written)
        faults = [*readiness.faults] if isinstance(readiness, registry.RegistrationSkipped) else []
        # Without a commit nothing is committed, and a fault for each file would say that again.
        if repository is not None and (not faults or repository.head() is not None):
            checks = CommitChecks(self.workspace, repository)
            graphs = [(self.graph, self.upstream_links), *self._upstream_graphs()]
            unheld = (fault for graph, links in graphs for fault in checks.faults(graph, links))
            faults += dict.fromkeys(unheld)
        if faults:
            what = "; ".join(fault.what for fault in faults)
            return registry.RegistrationSkipped(what, tuple(faults))
        return readiness

    @cached_property
    def upstream_reader(self) -> UpstreamReader:
        """The other pipelines whose outputs this one takes."""
        return UpstreamReader(self.workspace)

    @cached_property
    def upstream_links(self) -> tuple[UpstreamLink, ...]:
        """The inputs that other pipelines make."""
        return self.upstream_reader.find_links(self.graph)

    def _upstream_graphs(self) -> list[tuple[Graph, tuple[UpstreamLink, ...]]]:
        # What the pipelines before this one were made of goes into a version too.
        _ = self.upstream_links
        pipelines = self.upstream_reader.pipelines.values()
        return [(pipeline.graph, pipeline.links) for pipeline in pipelines if pipeline.graph]

    @cached_property
    def _seen_registry(self) -> Repository | TowpathError:
        """Where versions are kept, or why that cannot be had now."""
        try:
            return self.workspace.registry
        except (UserError, RegistryError) as unseen:
            return unseen  # a run without its registry is a run all the same: it says so later

    def _is_written(self, path: str) -> bool:
        # What Towpath or its runs wrote, of this project or another in the repository, is no
        # uncommitted change of the user's.
        assert self.workspace.repository is not None
        whole = self.workspace.repository.root / path
        for folder in whole.parents:
            if (folder / PROJECT_FILE).is_file():
                inside = whole.relative_to(folder).as_posix()
                return artifact_paths.is_written(inside) or inside in self._own_files(folder)
        return False

    def _own_files(self, folder: Path) -> frozenset[str]:
        # What Towpath wrote beside its folders. Of a file that Git holds a change is the user's.
        if folder not in self._own_by_folder:
            assert self.workspace.repository is not None
            own = find_own_files(folder)
            paths = [str(folder / path) for path in own]
            listing = ("ls-files", "-z", "--full-name", "--", *paths)
            listed = self.workspace.repository.call(*listing, env=LITERALLY) if own else ""
            root = self.workspace.repository.root
            held = {os.path.relpath(root / path, folder) for path in listed.split("\0") if path}
            self._own_by_folder[folder] = own - held
        return self._own_by_folder[folder]

    @cached_property
    def _own_by_folder(self) -> dict[Path, frozenset[str]]:
        return {}

    @property
    def _folder_prefix(self) -> str:
        """The project's folder from the repository's root, with a slash; empty at the root."""
        assert self.workspace.repository is not None
        inside = self.workspace.path_in_repository(self.workspace.repository).as_posix()
        return "" if inside == "." else f"{inside}/"

    def decide_registration(self, node: Node, step: RegisterModel, known: RunState) -> StepDecision:
        """Register, or point at what the same key gave before, or leave it and say why."""
        try:
            key = self._registration_key(node, step, known)
        except StepNotEnded as waiting:
            return StepDecision(node.name, StepVerdict.UNDECIDED, f"after `{waiting.step}`")
        twins = self._find_twins(step.model, key)
        if twins:
            result = Made(facts={"version": str(twins[0]), "new": False})
            entry = CacheEntry(key, self.graph.name, node.name, "", "", 0.0, "", {}, result)
            reason = f"registered as {twins[0]}"
            return StepDecision(node.name, StepVerdict.REUSE, reason, key, {}, entry)
        trial = self.is_trial(step)
        standing = self.found_readiness if trial else self.readiness
        reason = standing.reason if isinstance(standing, registry.RegistrationSkipped) else ""
        if reason := reason or self._unsure_reason(_reaching_decisions(node, known), known):
            reason = f"a trial, and {reason}" if trial else reason
            return StepDecision(node.name, StepVerdict.SKIP, reason)
        if trial:
            return StepDecision(node.name, StepVerdict.SKIP, TRIAL, key, deferred=True)
        return StepDecision(node.name, StepVerdict.RUN, "not registered yet", key)

    def _unsure_reason(self, reached: list[StepDecision], known: RunState) -> str:
        """Why what was made is not sure to be what the commit says; empty where it is."""
        for decision in reached:
            if decision.stale:
                what = f"`{decision.step}` is as an earlier run made it"
                return f"{what}, not as the project says now"
            facts = known.made[decision.step].facts
            if facts.get("edited"):
                return f"code of `{decision.step}` was edited while it ran"
            if unknown := next(self._unknown_reads(facts.get("undeclared")), None):
                return f"`{decision.step}` read {unknown.what}"
        return ""

    def _unknown_reads(self, undeclared: Json) -> Iterator[Fault]:
        """The files that a step opened without declaring them, and that no commit holds; what it
        wrote itself is none."""
        root, repository = self.workspace.root, self.workspace.repository
        # No step begins so soon after the plan that a file it wrote could bear an earlier time.
        begun = self.planned + CLOCK_STEP
        read = [n for n in run_state.as_names(undeclared) if not may_have_changed(root / n, begun)]
        if read and repository is not None:
            yield from CommitChecks(self.workspace, repository).unknown_files(read, DECLARE)

    def _find_twins(self, model: str, key: str) -> tuple[registry.ModelVersion, ...]:
        if isinstance(self._seen_registry, TowpathError):
            return ()
        return registry_state.read_model(self._seen_registry, model).find_key(key)

    def _registration_key(self, node: Node, step: RegisterModel, known: RunState) -> str:
        model = known.resolve(node.arguments["model"])
        digest = model.digest if isinstance(model, Artifact) else ""
        decisions = _reaching_decisions(_without_beside(node), known)
        reached = {decision.step: decision.key for decision in decisions}
        beside = {name: known.resolve(source) for name, source in node.beside.items()}
        kept = {name: file.digest for name, file in beside.items() if isinstance(file, Artifact)}
        fields = {"model": step.model, "artifact": digest, "steps": reached}
        # What could not be said at first leaves the key as it was.
        return cache_key.digest_value({**fields, **({"beside": kept} if kept else {})})

    def register(self, node: Node, step: RegisterModel, known: RunState, run_id: str) -> Made:
        """Make the version, or the candidate for one."""
        if isinstance(self.readiness, registry.RegistrationSkipped):
            raise RegistryError(*self.readiness.faults)
        draft = self._make_draft(node, step, known, run_id, self.readiness)
        version = version_commit.register_draft(self.workspace, draft)
        facts: dict[str, Json] = {
            "version": str(version), "new": version.new, "reason": version.reason,
            "commit": version.commit,
        }  # fmt: skip
        return Made(facts=facts)

    def defer_registration(
        self, node: Node, step: RegisterModel, known: RunState, run_id: str, folder: Path
    ) -> None:
        """Keep what would be registered in the step's folder, for `towpath register`."""
        if isinstance(self.found_readiness, registry.ReadyToRegister):
            draft = self._make_draft(node, step, known, run_id, self.found_readiness)
            version_commit.write_draft(folder / node.name, draft)

    def _make_draft(
        self,
        node: Node,
        step: RegisterModel,
        known: RunState,
        run_id: str,
        ready: registry.ReadyToRegister,
    ) -> version_commit.RegistrationDraft:
        record = self._make_record(node, step, known, run_id, ready)
        texts = version_commit.render_commit_texts(self.workspace, known.graph, known)
        files = {self._folder_prefix + path: text for path, text in texts.items()}
        return version_commit.RegistrationDraft(record, files)

    def _record_code(self, commit: str, digests: Mapping[str, str]) -> RecordedCode:
        assert self.workspace.repository is not None
        origin = None
        if self.workspace.shared_registry is not None:
            origin = shared_registry.name_code_repository(self.workspace.repository)
        return RecordedCode(commit, origin, digests)

    def _make_record(
        self,
        node: Node,
        step: RegisterModel,
        known: RunState,
        run_id: str,
        ready: registry.ReadyToRegister,
    ) -> VersionRecord:
        source = node.arguments["model"]
        artifact = known.resolve(source)
        if not isinstance(artifact, Artifact):
            raise StepFailed(Fault(f"`{node.name}` registers a model, and `model` is none"))
        path = project_outputs.model_path(known.graph, node, known)
        reached = [item.ingredients for item in _reaching_decisions(node, known)]
        fill = partial(known.fill_message, node)
        return VersionRecord(
            model=step.model,
            key=self._registration_key(node, step, known),
            artifact=artifact,
            path=self._folder_prefix + path,
            sha256=sha256_of(self.workspace.store.source, artifact),
            kind=path.rpartition(".")[2] if "." in path else "folder",
            code=self._record_code(ready.commit, _strip_labels(reached, "code ")),
            signature=run_state.find_signature(known, known.graph, source),
            needs=run_state.find_noted_needs(known, source),
            beside=dict(self._keep_beside(node, known)),
            metrics=dict(_model_metrics(known, self.graph, node)),
            parameters=dict(self.graph.params),
            run=run_id,
            pipeline=self.graph.name,
            pipeline_digest=_pipeline_digest(node, known),
            data={name: artifact.digest for name, artifact in known.inputs.items()},
            sources=locate_inputs(self.workspace, self.graph, known.inputs, self.upstream_links),
            upstream=upstream_runs(self.upstream_reader, self.graph),
            packages=_strip_labels(reached, "package "),
            python=next((item["python"] for item in reached if "python" in item), None),
            author=str(ready.identity),
            time=utc_now(),
            description=fill(step.description) if step.description else None,
            labels={name: fill(text) for name, text in step.labels.items()},
            bump=RecordedBump(step.bump, "asked for") if step.bump else None,
        )

    def _keep_beside(self, node: Node, known: RunState) -> Iterator[tuple[str, KeptFile]]:
        """The files that are kept with the version; what may be missing and is, is left out."""
        for name, source in node.beside.items():
            artifact = known.resolve(source)
            if isinstance(artifact, Artifact):
                yield name, KeptFile(artifact, sha256_of(self.workspace.store.source, artifact))


def _without_beside(node: Node) -> Node:
    """A registration by its model alone. What stands beside that is known by its bytes: where a
    check of the data makes the same again, held against a version of its own by now, the version
    is no other."""
    alone = replace(node, beside={})
    return replace(alone, data_needs=alone.taken_steps)


def _reaching_decisions(node: Node, known: RunState) -> list[StepDecision]:
    """What was decided of the steps whose outputs reach a step; of a choice the one made."""
    steps = set(node.data_needs)
    for name in reversed(list(known.graph.nodes)):
        if name in steps and name in known.made:
            steps |= known.graph.nodes[name].data_needs
    return [known.decisions[name] for name in sorted(steps & known.made.keys())]


def _strip_labels(reached: list[Mapping[str, str]], prefix: str) -> dict[str, str]:
    return {
        label.removeprefix(prefix): value
        for ingredients in reached
        for label, value in sorted(ingredients.items())
        if label.startswith(prefix)
    }


def _pipeline_digest(node: Node, known: RunState) -> str:
    reached = [decision.step for decision in _reaching_decisions(node, known)]
    names = sorted({known.graph.nodes[name].declared_name for name in [node.name, *reached]})
    steps = {name: known.graph.nodes[name].step for name in names}
    documents = {n: s.model_dump(mode="json", exclude=_INDIFFERENT) for n, s in steps.items()}
    return cache_key.digest_value(documents)


def _model_metrics(known: RunState, graph: Graph, node: Node) -> Iterator[tuple[str, Json]]:
    """The numbers in the JSON inputs beside the model, by dotted name; of a check of bias those of
    the worst group, and none of a check of data, whose counts are no metrics."""
    beside = {name: source for name, source in node.arguments.items() if name != "model"}
    for source in beside.values():
        if not outputs_of(source):
            continue
        origin = known.find_origin(source)
        document = known.made[origin.step].values.get(origin.output)
        if isinstance(graph.nodes[origin.step].step, QualityCheck):
            continue
        if isinstance(graph.nodes[origin.step].step, BiasCheck) and isinstance(document, dict):
            document = document.get("worst")
        if isinstance(document, dict):
            for key, value in document.items():
                leaves = flatten_leaves(value, key)
                yield from ((n, v) for n, v in leaves if isinstance(v, int | float))
