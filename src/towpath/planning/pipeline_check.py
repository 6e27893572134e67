"""A pipeline held against its code: what `towpath check` says, and what a run asks first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
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
from towpath.pipeline.environments import apply_environment
from towpath.pipeline.run_arguments import RunValues
from towpath.planning import (
    big_table_check,
    model_check,
    notebook_check,
    requirements_check,
    sql_check,
    stage_check,
    step_code,
)
from towpath.planning.declared_pipelines import (
    read_declared,
    read_pipelines,
    resolve_given_inputs,
)
from towpath.steps.dask_cluster import DASK_CLIENTS
from towpath.steps.formats import FRAMES

if TYPE_CHECKING:
    from towpath.config.pipeline_file import DeclaredPipeline
    from towpath.dependencies import CodeReader, StepArgument, StepSignature
    from towpath.pipeline.step_graph import Graph, Node
    from towpath.workspace import Workspace


#: An argument so annotated, named as an output, is where the function writes it itself.
_PATH = "pathlib.Path"

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
    all_faults += stage_check.find_stage_faults(workspace, declared)
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
        if requirements := step_code.find_requirements(root, folder, self.node.step):
            at_key = self._find_place("environment")
            yield from requirements_check.find_requirements_faults(root, requirements, at_key)
        yield from _place_faults(self._file_faults(), self._find_place("code"))

    def _find_place(self, key: str) -> Place | None:
        places, name = self.declared.places, self.node.name
        return places.find_place("steps", name, key) or places.find_place("steps", name)

    def _kind_faults(self) -> Iterator[Fault]:
        code, folder, node = self.workspace.code, self.declared.folder, self.node
        place = self.declared.places.find_place("steps", node.name)
        match node.step:
            case FunctionStep() as step:
                signature = code.step_signature(folder, step.run)
                yield from _signature_faults(node, signature, place, whole=self._is_whole)
                yield from _annotation_faults(self.declared, self.nodes, node, signature)
                yield from big_table_check.find_big_table_faults(
                    self.declared, self.nodes, node, signature, place
                )
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
                yield from model_check.find_model_faults(code, self.declared, self.nodes, node)
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

    def _file_faults(self) -> Iterator[Fault]:
        self.workspace.code.files(self.declared.folder, self.node.step.code)
        yield from ()


def _place_faults(faults: Iterator[Fault], place: Place | None) -> Iterator[Fault]:
    """The faults, and those of an error that ends them."""
    try:
        yield from faults
    except TowpathError as error:
        yield from (_with_place(fault, place) for fault in error.faults)


def _script_faults(root: Path, step: CommandStep, place: Place | None) -> Iterator[Fault]:
    try:
        line = parse_command(step.command, step.shell)
    except UnfitCommand:  # said already, with its place
        return
    script = find_missing_script(root, line, step.workdir or "")
    # With `places` it may be an input that is put there.
    if script and script not in step.places.values():
        folder = root / (step.workdir or "") / Path(script).parent
        near_files = [
            (Path(script).parent / file.name).as_posix()
            for file in folder.glob("*")
            if file.is_file()
        ]
        hint = did_you_mean(script, near_files) or "it is looked for from where the command runs"
        yield Fault(f"the command's program {script} is not there", place, hint)


def _extra_faults(extra: str, needing: str, place: Place | None) -> Iterator[Fault]:
    if command := tell_missing_extra(extra):
        what = f"{needing} needs packages that are not installed"
        yield Fault(what, place, f"`{command}`")


def _with_place(fault: Fault, place: Place | None) -> Fault:
    # What was read of the code has lines of its own; else the line that names it.
    has_line = fault.place is not None and fault.place.line > 0
    return fault if has_line else Fault(fault.what, place, fault.hint)


def _signature_faults(
    node: Node, found: StepSignature, place: Place | None, whole: bool
) -> Iterator[Fault]:
    takes = {argument.name: argument for argument in found.arguments}
    unknown = [name for name in node.arguments if name not in takes]
    for name in unknown:
        what = f"{found.function}() has no argument `{name}`, which step `{node.name}` gives it"
        hint = did_you_mean(name, takes) or f"it is at {found.file}:{found.line}"
        yield Fault(what, place, hint)
    missing = [a.name for a in found.arguments if a.required and not _is_given(node, a)]
    for name in missing if whole else ():
        if not did_you_mean(name, unknown):  # one typo is one fault
            yield _missing_argument(node, found, name)


def _is_given(node: Node, argument: StepArgument) -> bool:
    """Whether a function is called with an argument, which may be where it is to write a file, or
    a client of Dask."""
    is_output = argument.name in node.outputs and argument.asks == _PATH
    is_client = isinstance(node.step, DaskStep) and argument.asks in DASK_CLIENTS
    return argument.name in node.arguments or is_output or is_client


def _annotation_faults(
    declared: DeclaredPipeline, nodes: Mapping[str, Node], node: Node, found: StepSignature
) -> Iterator[Fault]:
    """Arguments that ask for a table where the file is read as something else."""
    for argument in found.arguments:
        source = node.arguments.get(argument.name)
        if source is None or argument.asks not in FRAMES:
            continue
        for file in file_formats.files_of_declared(declared, nodes, source):
            if read_as := file_formats.read_otherwise(declared, file, argument.asks):
                what = f"`{argument.name}` asks for a {argument.asks}, and {file.path} is {read_as}"
                hint = "annotate what it is, or say the file's `format:`"
                yield Fault(what, Place(found.file, found.line), hint)


def _missing_argument(node: Node, found: StepSignature, name: str) -> Fault:
    hint = did_you_mean(name, {*node.arguments, *node.outputs})
    if name in node.outputs:
        hint = f"to write that output itself it takes `{name}: Path`"
    what = f"{found.function}() wants `{name}`, which step `{node.name}` does not give it"
    return Fault(what, Place(found.file, found.line), hint)


def _format_faults(declared: DeclaredPipeline, reader: CodeReader) -> Iterator[Fault]:
    for name, run in declared.own_formats.items():
        place = declared.places.find_place("formats", name)
        if name not in declared.pipeline.formats:
            place = Place("towpath.yaml")
        try:
            yield from _methods_missing(name, run, reader.format_class(declared.folder, run), place)
        except TowpathError as error:
            yield from (_with_place(fault, place) for fault in error.faults)


def _methods_missing(
    name: str, run: str, methods: frozenset[str] | None, place: Place | None
) -> Iterator[Fault]:
    if methods is None:  # it has bases, which may have them
        return
    for method, signature in (("read", "read(path)"), ("write", "write(value, path)")):
        if method not in methods:
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
    absent = [
        p for p in checkouts.absent_submodules(repository) if not _has_files(repository.root / p)
    ]
    text = _pipeline_text(workspace, declared, nodes) if absent else ""
    for path in absent:
        name = re.escape(path.rpartition("/")[2])
        if re.search(rf"(?<![\w]){name}(?![\w])", text):
            what = f"the submodule {path} is not set up, and this pipeline speaks of it"
            yield Fault(what, Place(declared.path), checkouts.SET_UP)


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


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
