"""Registering in a run: whether it may, whether it was done before, and what the record says."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from towpath import registry
from towpath.engine import elsewhere, keys, outputs, tree
from towpath.engine.code_paths import OUTSIDE_HINT, git_paths
from towpath.engine.decisions import Decision, Verdict
from towpath.engine.known import Waiting
from towpath.engine.record import now
from towpath.engine.runs import flatten
from towpath.engine.source import outputs_of
from towpath.errors import Fault, RegistryError, StepFailed, TowpathError, UserError
from towpath.git import submodules
from towpath.registry import Bump, Code, Record, Registration, Signature, reading, shared
from towpath.spec import template, words
from towpath.spec.artifact import Artifact, Entry, Json, Made
from towpath.store import tracked
from towpath.store.digest import is_folder
from towpath.workspace import PROJECT_FILE

if TYPE_CHECKING:
    from towpath.engine.graph import Graph, Node, Source
    from towpath.engine.known import Known
    from towpath.git import Repository
    from towpath.spec.pipeline import RegisterModel
    from towpath.store import Store
    from towpath.workspace import Workspace


@dataclass(frozen=True)
class Registering:
    """The registry as one run sees it; where it is ``required``, not to register is an error."""

    workspace: Workspace
    graph: Graph
    required: bool = False

    @cached_property
    def readiness(self) -> registry.Ready | registry.Skipped:
        """Whether this run may register; asked once, before its first step."""
        found = self._committed()
        unseen = self._registry if isinstance(self._registry, TowpathError) else None
        if unseen is None or isinstance(found, registry.Skipped):
            return found
        if self.required:
            raise unseen
        return registry.Skipped("; ".join(f.what for f in unseen.faults), unseen.faults)

    def _committed(self) -> registry.Ready | registry.Skipped:
        """Whether all that goes into a version is committed: files to Git, tracked data by its
        pointer. UserError with every fault where registering is required."""
        found = registry.readiness(self.workspace.repository, written=self._is_written)
        faults = [*(found.faults if isinstance(found, registry.Skipped) else ())]
        faults += [*self._data(), *self._ignored()]
        if faults and self.required:
            raise UserError(*(Fault(f"cannot register: {f.what}", f.place, f.hint) for f in faults))
        if faults:
            return registry.Skipped("; ".join(fault.what for fault in faults), tuple(faults))
        return found

    def _data(self) -> Iterator[Fault]:
        """Inputs that are not what their pointers say: a clone could not have them."""
        paths = [said for said in self.graph.inputs.values() if not words.is_model_reference(said)]
        pointers = [p for said in paths for p in tracked.changed(self.workspace.root, Path(said))]
        for pointer in dict.fromkeys(pointers):
            path, file = (
                os.path.relpath(p, self.workspace.root) for p in (pointer.path, pointer.file)
            )
            what = f"{path} not committed: it is not what {file} says"
            yield Fault(what, hint=f"dvc add {path}, then commit {file}")

    def _ignored(self) -> Iterator[Fault]:
        """Code that Git ignores, and no commit holds: the version could not be made again."""
        repository = self.workspace.repository
        if repository is None or repository.head() is None:
            return
        nodes, reader = self.graph.nodes.values(), self.workspace.code
        files = {f for node in nodes for f in keys.sources(self.graph, node, reader)}
        places = {f: git_paths(repository.root, self.workspace.root / f) for f in sorted(files)}
        for file in (file for file, paths in places.items() if paths is None):
            yield Fault(f"{file} not committed: it lies outside the repository", hint=OUTSIDE_HINT)
        asked = {path: file for file, paths in places.items() for path in paths or ()}
        words = ("ls-files", "-z", "--recurse-submodules", "--")
        known = repository.call(*words, *asked).split("\0") if asked else []
        unknown = asked.keys() - set(known)
        missing = list(submodules.absent(repository)) if unknown else []
        for path in sorted(unknown):
            if link := next((link for link in missing if path.startswith(f"{link}/")), None):
                what = f"{asked[path]} not committed: the submodule {link} is not set up"
                yield Fault(what, hint=submodules.SET_UP)
                continue
            hint = "take it out of .gitignore or .git/info/exclude, and commit it"
            yield Fault(f"{asked[path]} not committed: Git ignores it", hint=hint)

    @cached_property
    def _registry(self) -> Repository | TowpathError:
        """Where versions are kept, or why that cannot be had now."""
        try:
            return self.workspace.registry
        except (UserError, RegistryError) as unseen:
            return unseen

    def _is_written(self, path: str) -> bool:
        """Whether runs write a path, from the repository's root, of this project or another in
        it: that is no uncommitted change of the user's."""
        assert self.workspace.repository is not None
        whole = self.workspace.repository.root / path
        for folder in whole.parents:
            if (folder / PROJECT_FILE).is_file():
                return tree.is_written(whole.relative_to(folder).as_posix())
        return False

    @property
    def _prefix(self) -> str:
        """The project's folder from the repository's root, with a slash; empty at the root."""
        assert self.workspace.repository is not None
        relative = self.workspace.root.resolve().relative_to(
            self.workspace.repository.root.resolve()
        )
        return "" if relative.as_posix() == "." else f"{relative.as_posix()}/"

    def decide(self, node: Node, step: RegisterModel, known: Known) -> Decision:
        """Register, or point at what the same key gave before, or leave it and say why."""
        try:
            key = self._key(node, step, known)
        except Waiting as waiting:
            return Decision(node.name, Verdict.UNDECIDED, f"after `{waiting.step}`")
        twins = self._twins(step.model, key)
        if twins:
            made = Made(facts={"version": str(twins[0]), "new": False})
            entry = Entry(key, self.graph.name, node.name, "", "", 0.0, "", {}, made)
            return Decision(node.name, Verdict.REUSE, f"registered as {twins[0]}", key, {}, entry)
        if isinstance(self.readiness, registry.Skipped):
            return Decision(node.name, Verdict.SKIP, self.readiness.reason)
        if stale := [found.step for found in _reached(self.graph, node, known) if found.stale]:
            reason = f"`{stale[0]}` is as an earlier run made it, not as the project says now"
            return Decision(node.name, Verdict.SKIP, reason)
        return Decision(node.name, Verdict.RUN, "not registered yet", key)

    def _twins(self, model: str, key: str) -> tuple[registry.ModelVersion, ...]:
        if isinstance(self._registry, TowpathError):
            return ()
        return reading.model(self._registry, model).keyed(key)

    def _key(self, node: Node, step: RegisterModel, known: Known) -> str:
        model = known.resolve(node.arguments["model"])
        digest = model.digest if isinstance(model, Artifact) else ""
        reached = {found.step: found.key for found in _reached(self.graph, node, known)}
        return keys.digest({"model": step.model, "artifact": digest, "steps": reached})

    def register(self, node: Node, step: RegisterModel, known: Known, run_id: str) -> Made:
        """Make the version, or the candidate for one."""
        if isinstance(self.readiness, registry.Skipped):
            raise RegistryError(*self.readiness.faults)
        record = self._record(node, step, known, run_id, self.readiness)
        done = registry.register(self.workspace.registry, self._registration(record, known))
        facts: dict[str, Json] = {
            "version": str(done), "new": done.new, "reason": done.reason, "commit": done.commit,
        }  # fmt: skip
        return Made(facts=facts)

    def _registration(self, record: Record, known: Known) -> Registration:
        """Upon the code that ran, with its outputs; or upon a shared registry's main."""
        if address := self.workspace.shared_registry:
            base = shared.root(self.workspace.registry, address)
            return Registration(record, base, elsewhere.files(self.workspace, base, record))
        texts = outputs.texts(self.workspace, self.graph, known)
        files = {self._prefix + path: text.encode() for path, text in texts.items()}
        return Registration(record, record.code.commit, files)

    def _code(self, commit: str, digests: Mapping[str, str]) -> Code:
        assert self.workspace.repository is not None
        is_shared = self.workspace.shared_registry is not None
        origin = shared.origin(self.workspace.repository) if is_shared else None
        return Code(commit, origin, digests)

    def _record(
        self, node: Node, step: RegisterModel, known: Known, run_id: str, ready: registry.Ready
    ) -> Record:
        source = node.arguments["model"]
        artifact = known.resolve(source)
        if not isinstance(artifact, Artifact):
            raise StepFailed(Fault(f"`{node.name}` registers a model, and `model` is none"))
        path = outputs.model_path(self.graph, node, known)
        reached = [found.ingredients for found in _reached(self.graph, node, known)]
        fill = partial(_filled, known, node)
        return Record(
            model=step.model,
            key=self._key(node, step, known),
            artifact=artifact,
            path=self._prefix + path,
            sha256=sha256_of(self.workspace.store, artifact),
            kind=path.rpartition(".")[2] if "." in path else "folder",
            code=self._code(ready.commit, _labelled(reached, "code ")),
            signature=_signature(known, source),
            metrics=dict(_metrics(known, node)),
            parameters=dict(self.graph.params),
            run=run_id,
            pipeline=self.graph.name,
            pipeline_digest=_pipeline_digest(self.graph, node, known),
            data={name: artifact.digest for name, artifact in known.inputs.items()},
            packages=_labelled(reached, "package "),
            python=next((found["python"] for found in reached if "python" in found), None),
            author=str(ready.identity),
            time=now(),
            description=fill(step.description) if step.description else None,
            labels={name: fill(text) for name, text in step.labels.items()},
            bump=Bump(step.bump, "asked for") if step.bump else None,
        )


def _reached(graph: Graph, node: Node, known: Known) -> list[Decision]:
    """What was decided of the steps whose outputs reach a step; of a choice the one made."""
    found = set(node.data_needs)
    for name in reversed(list(graph.nodes)):
        if name in found & known.made.keys():
            found |= graph.nodes[name].data_needs
    return [known.decisions[name] for name in sorted(found & known.made.keys())]


def _labelled(reached: list[Mapping[str, str]], prefix: str) -> dict[str, str]:
    return {
        label.removeprefix(prefix): value
        for ingredients in reached
        for label, value in sorted(ingredients.items())
        if label.startswith(prefix)
    }


def _pipeline_digest(graph: Graph, node: Node, known: Known) -> str:
    """The digest of the declarations of the steps that reach a step, and of its own."""
    names = sorted([node.name, *(found.step for found in _reached(graph, node, known))])
    said = {
        name: graph.nodes[name].step.model_dump(mode="json", exclude={"description"})
        for name in names
    }
    return keys.digest(said)


def sha256_of(store: Store, artifact: Artifact) -> str:
    """SHA-256 of a file in a store; of a folder that of its sorted ``sha256sum`` lines."""
    if not is_folder(artifact.digest):
        return _file_sha256(store, artifact.digest)
    lines = sorted(
        f"{_file_sha256(store, digest)}  {path}\n"
        for path, digest in store.members(artifact.digest).items()
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _file_sha256(store: Store, digest: str) -> str:
    with store.path(digest).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _signature(known: Known, source: Source) -> Signature | None:
    """What the training step left of the data the model saw."""
    if not outputs_of(source):
        return None
    origin = known.origin(source)
    found = known.made[origin.step].facts.get("signature")
    said = found.get(origin.output) if isinstance(found, dict) else None
    return Signature.from_json(said) if isinstance(said, dict) and said.get("inputs") else None


def _metrics(known: Known, node: Node) -> Iterator[tuple[str, Json]]:
    """The numbers in the JSON inputs beside the model, by dotted name."""
    beside = {name: source for name, source in node.arguments.items() if name != "model"}
    for source in beside.values():
        if not outputs_of(source):
            continue
        origin = known.origin(source)
        document = known.made[origin.step].values.get(origin.output)
        if isinstance(document, dict):
            for key, value in document.items():
                yield from ((n, v) for n, v in flatten(value, key) if isinstance(v, (int, float)))


def _filled(known: Known, node: Node, text: str) -> str:
    return template.parse(text).fill(partial(known.lookup, node))
