"""One reading of a project's code: each file once, for all the steps of a run."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

from towpath.code import extra as extras
from towpath.code import locate, signature
from towpath.code.command_code import Module
from towpath.code.distributions import Environment, installed
from towpath.code.finder import OURS, Finder, SearchPath, loose_folders
from towpath.code.labels import Labels
from towpath.code.locate import Located, Target
from towpath.code.reach import Loose, Node, Reach
from towpath.code.signature import Signature
from towpath.code.view import Run, Symbol, View, Whole
from towpath.spec.project_paths import module_folders

KEPT = ".towpath/state/environment.json"


class Reader:
    """A snapshot of the code: make one for each run or plan. Nothing of the project is imported.

    ``folder`` is a pipeline's folder from the root (``flows/training``), ``run`` what its step
    says (``train``, ``shared.publish:to_folder``). Faults are raised as DeclarationError.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._finder = Finder()
        self._labels: dict[str, Labels] = {}
        self._closures: dict[tuple[str, str], set[Node]] = {}
        self._targets: dict[tuple[str, str], Target] = {}

    @cached_property
    def environment(self) -> Environment:
        """What is installed; kept in ``.towpath/state`` for the next process."""
        return installed(self.root / KEPT)

    def locate(self, folder: str, run: str) -> Located:
        """Where a step's function is, and how its process imports it."""
        target = self._target(folder, run)
        module, name = locate.split(run)
        return Located(
            module=module or locate.BESIDE,
            name=name,
            folders=tuple(Path(each) for each in self._labels_of(folder).view.path.folders),
            file=Path(target.symbol.file),
            function=target.node.name,
        )

    def signature(self, folder: str, run: str) -> Signature:
        """The arguments of a step's function and what it returns."""
        view, target = self._labels_of(folder).view, self._target(folder, run)
        if not isinstance(target.node, ast.FunctionDef):  # the class of a format: `find` refuses it
            target = locate.find(view, run)
        assert isinstance(target.node, ast.FunctionDef)
        return signature.of_function(view, target.symbol, target.node)

    def format_class(self, folder: str, run: str) -> frozenset[str] | None:
        """The methods of the class that reads and writes a format of the project's own; None where
        it has bases, which may have others.

        From then on ``digests``, ``sources``, ``packages`` and ``libraries`` take it as they take a
        function.
        """
        key = folder, run
        target = self._targets.get(key)
        if target is None or not isinstance(target.node, ast.ClassDef):  # a step's function is none
            target = self._targets[key] = locate.find_class(self._labels_of(folder).view, run)
        return locate.methods(target)

    def digests(self, folder: str, run: str, extra: Sequence[str] = ()) -> dict[str, str]:
        """A digest for each name that a step's function reaches, and for each extra file.

        The labels are for people: ``steps.clean``, ``shared.paths (whole module)``,
        ``steps (at import)``, ``fit.R``. A digest is 32 hexadecimal digits.
        """
        found = self._labels_of(folder).of(self._closure(folder, run))
        return {**found, **extras.digests(self.root, folder, extra)}

    def files(self, folder: str, extra: Sequence[str]) -> dict[str, str]:
        """A digest for each file or folder that a step names, whatever it holds."""
        return extras.digests(self.root, folder, extra)

    def file_names(self, folder: str, extra: Sequence[str]) -> tuple[str, ...]:
        """The files that a step names, in folders and patterns too, from the root."""
        return extras.names(self.root, folder, extra)

    def sources(self, folder: str, run: str) -> tuple[str, ...]:
        """The files of the project that a step's function reaches, from the root, sorted."""
        view = self._labels_of(folder).view
        own = (n for n in self._closure(folder, run) if isinstance(n, Symbol | Run | Whole | Loose))
        return tuple(sorted({view.shown(node.file) for node in own}))

    def packages(self, folder: str, run: str) -> dict[str, str]:
        """The distributions that the reached code imports, with all they require, by version."""
        reach = self._labels_of(folder).reach
        return self.environment.versions(reach.packages(self._closure(folder, run)))

    def libraries(self, folder: str, run: str) -> tuple[str, ...]:
        """The modules of installed packages that the reached code imports, sorted.

        Those of editable packages are left out: their code is at work, like the project's.
        """
        loaded = self._labels_of(folder).reach.loads(self._closure(folder, run))
        fixed = (each for each in loaded if self.environment.is_fixed(each.partition(".")[0]))
        return tuple(sorted(fixed))

    def versions(self, modules: Iterable[str]) -> dict[str, str]:
        """The same for modules that a step uses without naming them (``pyarrow`` for .parquet)."""
        return self.environment.versions(modules)

    def modules(self, modules: Iterable[Module]) -> dict[str, str]:
        """A digest for each of these modules, whole, and for what they import, by label."""
        found: dict[str, str] = {}
        for module in modules:
            found |= self._labels_of(module.folder).of(self._whole(module))
        return found

    def module_sources(self, modules: Iterable[Module]) -> tuple[str, ...]:
        """The files that these modules and what they import stand in, from the root, sorted."""
        view = self._labels_of("").view
        nodes = {node for module in modules for node in self._whole(module)}
        own = (n for n in nodes if isinstance(n, Symbol | Run | Whole | Loose))
        return tuple(sorted({view.shown(node.file) for node in own}))

    def module_packages(self, modules: Iterable[Module]) -> dict[str, str]:
        """The distributions that these modules import, with all they require, by version."""
        found: dict[str, str] = {}
        for module in modules:
            reach = self._labels_of(module.folder).reach
            found |= self.environment.versions(reach.packages(self._whole(module)))
        return found

    def _whole(self, module: Module) -> set[Node]:
        key = f"{module.folder} (whole)", module.file
        if key not in self._closures:
            reach = self._labels_of(module.folder).reach
            self._closures[key] = reach.closure([Whole(f"{self.root}/{module.file}")])
        return self._closures[key]

    def carried(self, folder: str, run: str) -> dict[str, str]:
        """The classes and functions that a step may put into an object, with what they reach.

        A pickle holds only their names: whoever reads it again runs their code of that day, so
        these digests belong to the key of a step that reads such an output.
        """
        labels = self._labels_of(folder)
        closure = self._closure(folder, run)
        return labels.of(labels.reach.closure(labels.reach.carried(closure)))

    def _closure(self, folder: str, run: str) -> set[Node]:
        key = folder, run
        if key not in self._closures:
            starts = locate.starts(self._target(folder, run))
            self._closures[key] = self._labels_of(folder).reach.closure(starts)
        return self._closures[key]

    def _target(self, folder: str, run: str) -> Target:
        key = folder, run
        if key not in self._targets:
            self._targets[key] = locate.find(self._labels_of(folder).view, run)
        return self._targets[key]

    def _labels_of(self, folder: str) -> Labels:
        """The reading of one pipeline: its imports look beside it first, then at the root
        and in ``src/``."""
        if folder not in self._labels:
            beside = str((self.root / folder).resolve())
            own = (str(path) for path in module_folders(self.root) if path != OURS)
            path = SearchPath(tuple(dict.fromkeys((beside, *own))), self._further)
            self._labels[folder] = Labels(Reach(View(self.root, path, self._finder)))
        return self._labels[folder]

    @cached_property
    def _further(self) -> tuple[str, ...]:
        folders = dict.fromkeys((*loose_folders(), *self.environment.editable()))
        return tuple(each for each in folders if not OURS.is_relative_to(each))
