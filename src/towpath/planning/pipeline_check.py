"""A pipeline held against its code: what `towpath check` says, and what a run asks first."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from towpath.backends.git import checkouts
from towpath.config import names_and_paths
from towpath.config.command_line import UnfitCommand, parse_command
from towpath.config.pipeline_declaration import (
    CommandStep,
    CreateModel,
    DaskStep,
    DuckDBStep,
    Explain,
    FunctionStep,
    NotebookStep,
    QualityCheck,
)
from towpath.dependencies.command_program import find_missing_script
from towpath.dependencies.extras import tell_missing_extra
from towpath.errors import DeclarationError, Fault, Place, TowpathError, did_you_mean
from towpath.pipeline import file_formats, item_texts, pipeline_order
from towpath.pipeline.compile_graph import (
    ResolvedPipeline,
    compile_with_values,
    outline_graph,
    resolve_pipeline,
)
from towpath.pipeline.run_arguments import RunValues, apply_environment
from towpath.planning import notebook_check, sql_check
from towpath.planning.declared_pipelines import read_declared, read_pipelines, resolve_given_inputs
from towpath.planning.model_check import ModelCheck, place_fault
from towpath.steps import sql_tables
from towpath.steps.dask_cluster import DASK_CLIENTS, DASK_FORMATS, DASK_FRAME, DASK_TABLES
from towpath.steps.formats import FRAMES
from towpath.steps.own_environment import find_requirements

if TYPE_CHECKING:
    from towpath.config.pipeline_file import DeclaredPipeline
    from towpath.dependencies import CodeReader, StepArgument, StepSignature
    from towpath.pipeline.step_graph import Graph, Node, Source
    from towpath.workspace import Workspace


#: An argument so annotated, named as an output, is where the function writes it itself.
_PATH = "pathlib.Path"

#: Of a line of a file of requirements: code, another file, digests.
_EDITABLE = re.compile(r"(-e|--editable)\b")
_OTHER_FILE = re.compile(r"(?:-r|-c|--requirement|--constraint)[ =]*(\S+)")
_HASHES = re.compile(r"\s--hash[= ]\S+")

#: The key that names a step's code, where it is another than `run`.
_NAMING_KEYS = {CommandStep: "command", NotebookStep: "notebook", DuckDBStep: "sql"}


def compile_checked_pipeline(
    workspace: Workspace,
    pipeline: str | None,
    values: RunValues | None = None,
) -> Graph:
    """The graph of a pipeline whose every function is there and takes what it is given.

    Errors: DeclarationError with every fault of the declaration and of its code; UsageError for
    a parameter or an input given wrongly.
    """
    declared = read_declared(workspace, pipeline)
    if pipeline_faults := _declared_faults(workspace, declared):
        raise DeclarationError(*pipeline_faults)
    if not declared.pipeline.steps:
        hint = "write one below `steps:`; docs/pipeline.md has an example"
        raise DeclarationError(Fault("the pipeline has no steps yet", Place(declared.path), hint))
    values = values or RunValues()
    named = resolve_given_inputs(workspace, declared.pipeline.name, values.inputs)
    taken = {name: _from_root(workspace.root, path) for name, path in named.items()}
    return compile_with_values(declared, replace(values, inputs=taken))


def _from_root(root: Path, path: str) -> str:
    """A path inside the project from its root, as a declaration says it."""
    for folder in (root, root.resolve()):
        if Path(path).is_absolute() and Path(path).is_relative_to(folder):
            inside = Path(path).relative_to(folder).as_posix()
            return f"{inside}/" if names_and_paths.is_folder_path(path) else inside
    return path


def find_pipeline_faults(workspace: Workspace, pipeline: str) -> tuple[Fault, ...]:
    """Everything that is wrong with a pipeline, its code included, each with its place."""
    return _declared_faults(workspace, read_declared(workspace, pipeline))


def find_environment_faults(
    workspace: Workspace, pipeline: str, environment: str
) -> tuple[Fault, ...]:
    """What keeps a pipeline from a run for an environment that is there for each declaration: no
    value for a parameter that must have one. UsageError for an environment it does not declare."""
    if not environment:
        return ()
    declared = read_declared(workspace, pipeline)
    values = apply_environment(declared.pipeline, environment)
    place = declared.places.find_place("for", environment)
    return tuple(
        Fault(f"parameter `{name}` has no value for `{environment}`", place, "add it there")
        for name, param in values.params.items()
        if param.required
    )


def _declared_faults(workspace: Workspace, declared: DeclaredPipeline) -> tuple[Fault, ...]:
    resolved = resolve_pipeline(declared)
    all_faults = [*resolved.faults, *_faults_with_code(workspace, declared, resolved)]
    all_faults += _stage_faults(workspace, declared)
    if any(pipeline_order.find_maker(file.path) for file in declared.pipeline.inputs.values()):
        # Only then, for each pipeline's file is read for it.
        all_faults += pipeline_order.input_faults(read_pipelines(workspace), declared)
    return tuple(dict.fromkeys(all_faults))


def _faults_with_code(
    workspace: Workspace, declared: DeclaredPipeline, resolved: ResolvedPipeline
) -> Iterator[Fault]:
    """What is wrong between the steps of a pipeline, and of those in it, and their code."""
    own_nodes = [node for name, node in resolved.nodes.items() if name in declared.pipeline.steps]
    for node in own_nodes:
        yield from _CheckedStep(workspace, declared, resolved.nodes, node).find_faults()
    yield from _format_faults(declared, workspace.code)
    yield from find_submodule_faults(workspace, declared, own_nodes)
    for name, body in resolved.bodies.items():
        yield from _faults_with_code(workspace, declared.bodies[name], body)


class _CheckedStep(Struct, frozen=True):
    """A step held against the functions and files it names."""

    workspace: Workspace
    declared: DeclaredPipeline
    nodes: Mapping[str, Node]
    node: Node

    def find_faults(self) -> Iterator[Fault]:
        """What is wrong between them, each at the line that names what it is about."""
        key = _NAMING_KEYS.get(type(self.node.step), "run")
        yield from _place_faults(self._kind_faults(), self._find_place(key))
        root, folder = self.workspace.root, self.declared.folder
        if requirements := find_requirements(root, folder, self.node.step):
            yield from _requirements_faults(root, requirements, self._find_place("environment"))
        try:
            self.workspace.code.files(folder, self.node.step.code)
        except TowpathError as error:
            yield from (place_fault(fault, self._find_place("code")) for fault in error.faults)

    def _find_place(self, key: str) -> Place | None:
        places, name = self.declared.places, self.node.name
        return places.find_place("steps", name, key) or places.find_place("steps", name)

    def _kind_faults(self) -> Iterator[Fault]:
        code, folder, node = self.workspace.code, self.declared.folder, self.node
        place = self.declared.places.find_place("steps", node.name)
        match node.step:
            case FunctionStep() as step:
                signature = code.step_signature(folder, step.run)
                yield from self._signature_faults(signature, place)
                yield from self._annotation_faults(signature)
                yield from self._big_table_extras(signature, place)
                yield from self._cluster_faults(signature)
            case CommandStep() as step:
                yield from _script_faults(self.workspace.root, step, self._find_place("command"))
            case NotebookStep():
                yield from _extra_faults("notebook", "a notebook", place)
                yield from notebook_check.find_notebook_faults(
                    code, folder, node, self._find_place("notebook"), whole=self._is_whole
                )
            case DuckDBStep():
                yield from _extra_faults("duckdb", "SQL", place)
                yield from sql_check.find_sql_faults(
                    self.workspace.root, self.declared, self.nodes, node, whole=self._is_whole
                )
            case CreateModel():
                yield from ModelCheck(code, self.declared, self.nodes, node).faults()
            case Explain(method="shap"):
                yield from _extra_faults("explain", "`method: shap`", place)
            case QualityCheck():
                for suite in item_texts.list_suites(self.declared, node):
                    yield from _suite_faults(self.workspace, folder, suite, place)

    @property
    def _is_whole(self) -> bool:
        """Whether each of the step's references could be resolved."""
        step = self.declared.pipeline.steps[self.node.name]
        inputs: Any = getattr(step, "inputs", ())
        params: Any = getattr(step, "params", ())
        return len(self.node.arguments) >= len(inputs) + len(params)

    def _signature_faults(self, found: StepSignature, place: Place | None) -> Iterator[Fault]:
        node, takes = self.node, {argument.name: argument for argument in found.arguments}
        unknown = [name for name in node.arguments if name not in takes]
        for name in unknown:
            what = f"{found.function}() has no argument `{name}`, which step `{node.name}` gives it"
            hint = did_you_mean(name, takes) or f"it is at {found.file}:{found.line}"
            yield Fault(what, place, hint)
        missing = [a.name for a in found.arguments if a.required and not self._is_given(a)]
        for name in missing if self._is_whole else ():
            if did_you_mean(name, unknown):  # one typo is one fault
                continue
            near = did_you_mean(name, {*node.arguments, *node.outputs})
            if name in node.outputs:
                near = f"to write that output itself it takes `{name}: Path`"
            what = f"{found.function}() wants `{name}`, which step `{node.name}` does not give it"
            yield Fault(what, Place(found.file, found.line), near)

    def _is_given(self, argument: StepArgument) -> bool:
        """Whether a function is called with an argument, which may be where it is to write a file,
        or a client of Dask."""
        is_output = argument.name in self.node.outputs and argument.asks == _PATH
        is_client = isinstance(self.node.step, DaskStep) and argument.asks in DASK_CLIENTS
        return argument.name in self.node.arguments or is_output or is_client

    def _annotation_faults(self, found: StepSignature) -> Iterator[Fault]:
        """Arguments that ask for a table where the file is read as something else."""
        for argument in found.arguments:
            source = self.node.arguments.get(argument.name)
            if source is None or argument.asks not in FRAMES:
                continue
            for file in file_formats.files_of_declared(self.declared, self.nodes, source):
                if read_as := file_formats.read_otherwise(self.declared, file, argument.asks):
                    asks = f"`{argument.name}` asks for a {argument.asks}"
                    hint = "annotate what it is, or say the file's `format:`"
                    at_function = Place(found.file, found.line)
                    yield Fault(f"{asks}, and {file.path} is {read_as}", at_function, hint)

    def _big_table_extras(self, signature: StepSignature, place: Place | None) -> Iterator[Fault]:
        """Extras that a function needs and that are not there, for Dask's tables and client and for
        polars."""
        step = self.node.step
        if isinstance(step, DaskStep):
            yield from _extra_faults("dask", "Dask", place)
            if step.address and step.workers:
                at_workers = self.declared.places.find_place("steps", self.node.name, "workers")
                what = "a cluster by its `address` has workers"
                yield Fault(what, at_workers, "remove `workers`")
        asks_polars = any(argument.asks.startswith("polars.") for argument in signature.arguments)
        if asks_polars and (command := tell_missing_extra("polars")):
            yield Fault("polars is not installed", place, f"`{command}`")

    def _cluster_faults(self, signature: StepSignature) -> Iterator[Fault]:
        """What only a step on a cluster is given."""
        step, at_function = self.node.step, Place(signature.file, signature.line)
        for argument in signature.arguments:
            if argument.asks not in (DASK_FRAME, *DASK_CLIENTS):
                continue
            name, source = argument.name, self.node.arguments.get(argument.name)
            if not isinstance(step, DaskStep):
                what = f"`{name}` asks for a {argument.asks}, and `{self.node.name}` has no cluster"
                yield Fault(what, at_function, "write `kind: dask`")
            elif source and argument.asks in DASK_CLIENTS:
                what = f"`{name}` is the cluster's client, and the step gives it something"
                yield Fault(what, at_function, "give the input another name")
            elif source:
                yield from self._table_faults(name, source, at_function)

    def _table_faults(self, name: str, source: Source, at_function: Place) -> Iterator[Fault]:
        for file in file_formats.files_of_declared(self.declared, self.nodes, source):
            # Of a folder its files say what they are, once they are there.
            format = sql_tables.find_sql_format(file.path, file.format)
            if not file.path.endswith("/") and format not in DASK_FORMATS:
                what = f"`{name}` is {file.path}, which is no table that Dask reads"
                yield Fault(what, at_function, DASK_TABLES)


def _place_faults(faults: Iterator[Fault], place: Place | None) -> Iterator[Fault]:
    """The faults, and those of an error that ends them."""
    try:
        yield from faults
    except TowpathError as error:
        yield from (place_fault(fault, place) for fault in error.faults)


def _script_faults(root: Path, step: CommandStep, place: Place | None) -> Iterator[Fault]:
    try:
        line = parse_command(step.command, step.shell)
    except UnfitCommand:  # said already, with its place
        return
    script = find_missing_script(root, line, step.workdir or "")
    # With `places` it may be an input that is put there.
    if script and script not in step.places.values():
        folder = root / (step.workdir or "") / Path(script).parent
        files = (file for file in folder.glob("*") if file.is_file())
        near_files = [(Path(script).parent / file.name).as_posix() for file in files]
        hint = did_you_mean(script, near_files) or "it is looked for from where the command runs"
        yield Fault(f"the command's program {script} is not there", place, hint)


def _extra_faults(extra: str, needing: str, place: Place | None) -> Iterator[Fault]:
    if command := tell_missing_extra(extra):
        what = f"{needing} needs packages that are not installed"
        yield Fault(what, place, f"`{command}`")


def _requirements_faults(
    root: Path, file: str, place: Place | None, above: tuple[str, ...] = ()
) -> Iterator[Fault]:
    """What is wrong with a file of requirements, from the root, that a step declares at a place,
    and with those that it names (``-r``, ``-c``); ``above`` are the files that led to it."""
    path = root / file
    if not path.is_file():
        near_files = [near.name for near in path.parent.glob("*.txt")]
        yield Fault(f"there is no {file}", place, did_you_mean(path.name, near_files))
        return
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        yield Fault(f"{file} is not UTF-8", Place(file))
        return
    for number, line in enumerate(lines, 1):
        plain = _HASHES.sub("", re.sub(r"(^|\s)#.*", "", line)).strip().rstrip("\\").strip()
        if named := _OTHER_FILE.match(plain):
            # pip follows a circle for ever; whoever wrote it hears of it from the installer.
            inner = posixpath.normpath(posixpath.join(posixpath.dirname(file), named[1]))
            if inner not in (*above, file):
                here = Place(file, number)
                yield from _requirements_faults(root, inner, here, (*above, file))
        elif plain and (what := _wrong_line(plain)):
            yield Fault(what, Place(file, number))


def _wrong_line(line: str) -> str | None:
    is_code = f"`{line}` is code, whose changes no key would hold: name a package by its version"
    if _EDITABLE.match(line) or line.startswith((".", "/")):
        return is_code
    if line.startswith("--"):  # an index, or where wheels lie: the installer says what is wrong
        return None
    # Here, for its patterns take 9 ms to compile, and few pipelines have packages of their own.
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        url = Requirement(line).url or ""
    except InvalidRequirement:
        return f"`{line}` names no package"
    return is_code if url.startswith("file:") else None


def _format_faults(declared: DeclaredPipeline, reader: CodeReader) -> Iterator[Fault]:
    for name, run in declared.own_formats.items():
        place = declared.places.find_place("formats", name)
        if name not in declared.pipeline.formats:
            place = Place("towpath.yaml")
        try:
            methods = reader.format_class(declared.folder, run)
        except TowpathError as error:
            yield from (place_fault(fault, place) for fault in error.faults)
            continue
        for method, signature in (("read", "read(path)"), ("write", "write(value, path)")):
            if methods is not None and method not in methods:  # its bases may have it
                yield Fault(f"format `{name}`: {run} has no method `{signature}`", place)


def _suite_faults(
    workspace: Workspace, folder: str, suite: str, place: Place | None
) -> Iterator[Fault]:
    from towpath.backends import great_expectations

    path = workspace.root / folder / suite
    if not path.is_file():
        yield Fault(f"there is no {folder}/{suite}", place)
        return
    yield from great_expectations.suite_faults(path, f"{folder}/{suite}")


def _stage_faults(workspace: Workspace, declared: DeclaredPipeline) -> Iterator[Fault]:
    """What inputs name of stages that are not there, each at its line; of environments too."""
    places = declared.places
    named = [
        (file.path, places.find_place("inputs", name))
        for name, file in declared.pipeline.inputs.items()
    ]
    for environment, values in declared.pipeline.environments.items():
        for name, path in values.inputs.items():
            named.append((path, places.find_place("for", environment, "inputs", name)))
    for path, place in named:
        if names_and_paths.is_model_reference(path):
            # Those of a shared registry are known to a run alone: a check asks nothing of the
            # network.
            stages = () if workspace.shared_registry else workspace.project.stages
            fault = find_stage_fault(stages, path, place)
            yield from (fault,) if fault else ()


def find_stage_fault(
    stages: Collection[str], reference: str, place: Place | None = None
) -> Fault | None:
    """What is wrong with the stage that a reference to a model names, of those declared; None
    where it names none, and where no stages are known."""
    stage = reference.partition("#")[2]
    if not stage or not stages or stage in stages:
        return None
    hint = did_you_mean(stage, stages) or f"the stages are {', '.join(stages)}"
    return Fault(f"`{reference}`: there is no stage `{stage}`", place, hint)


def drawable_graph(workspace: Workspace, pipeline: str, environment: str = "") -> Graph:
    """The graph of a pipeline for a look at it: its code need not be there."""
    return outline_graph(read_declared(workspace, pipeline), environment)


def find_submodule_faults(
    workspace: Workspace, declared: DeclaredPipeline, nodes: Iterable[Node]
) -> Iterator[Fault]:
    """A fault for each submodule whose name a pipeline or its code says, and which is empty here.

    Without it an import of what it holds is taken for that of a package, and fails while running.
    """
    try:
        repository = workspace.repository
    except TowpathError:  # registering says what is wrong with it
        return
    if repository is None or not (repository.root / ".gitmodules").is_file():
        return
    # A tree that was laid out to reproduce a version has the files, and no repositories in it.
    submodules = checkouts.absent_submodules(repository)
    absent = [path for path in submodules if not any((repository.root / path).glob("*"))]
    text = _pipeline_text(workspace, declared, nodes) if absent else ""
    for path in absent:
        name = re.escape(path.rpartition("/")[2])
        if re.search(rf"(?<![\w]){name}(?![\w])", text):
            what = f"the submodule {path} is not set up, and this pipeline speaks of it"
            yield Fault(what, Place(declared.path), checkouts.SET_UP)


def _pipeline_text(workspace: Workspace, declared: DeclaredPipeline, nodes: Iterable[Node]) -> str:
    """The declaration, and the files of code that it reaches, as far as they can be read."""
    files = {declared.path} if declared.path else set()
    for node in nodes:
        run = getattr(node.step, "run", None)
        try:
            files.update(workspace.code.source_files(declared.folder, run) if run else ())
        except TowpathError:  # said already, with its place
            continue
    paths = [workspace.root / file for file in sorted(files)]
    return "\n".join(f.read_text("utf-8", "replace") for f in paths if f.is_file())
