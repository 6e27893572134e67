"""A project on disk with functions of its own, and orders to its steps."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import TypeAdapter

from towpath.backends.dvc import Store
from towpath.config.artifact import Artifact, Json, Made
from towpath.config.pipeline_declaration import AnyStep, output_files
from towpath.dependencies import CodeReader
from towpath.errors import TowpathError
from towpath.steps import step_process
from towpath.steps.work_order import Order, Value

FOLDER = "flows/training"
_STEP: TypeAdapter[Any] = TypeAdapter(AnyStep)


@dataclass
class Project:
    """A project with a store and one pipeline's folder."""

    root: Path
    lines: list[str] = field(default_factory=list)
    count: int = 0

    @property
    def store(self) -> Store:
        return Store(self.root)

    def write(self, path: str, text: str) -> Path:
        """A file of the project; text loses its common indent."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return file

    def steps(self, text: str) -> None:
        """The functions of the pipeline."""
        self.write(f"{FOLDER}/steps.py", text)

    def put(self, path: str, text: str | bytes) -> Artifact:
        """Bytes in the store under a file's name."""
        data = textwrap.dedent(text).lstrip("\n").encode() if isinstance(text, str) else text
        return self.store.put_bytes(data, path)

    def order(
        self,
        run: str | None = None,
        outputs: Any = (),
        arguments: Mapping[str, Json | Artifact] | None = None,
        facts: Mapping[str, Mapping[str, Json]] | None = None,
        **step: Any,
    ) -> Order:
        """An order as the engine would make it; ``run`` names a function of the pipeline."""
        self.count += 1
        said = {"kind": "processing", **({"run": run} if run else {}), **step}
        if outputs:
            said["outputs"] = outputs
        declared = _STEP.validate_python(said)
        given = {
            name: value if isinstance(value, Artifact) else Value(value)
            for name, value in (arguments or {}).items()
        }
        return Order(
            root=self.root,
            pipeline="training",
            folder=FOLDER,
            name=run or said["kind"],
            step=declared,
            arguments=given,
            outputs=output_files(declared),
            directory=self.root
            / ".towpath"
            / "runs"
            / "r1"
            / f"{self.count}-{run or said['kind']}",
            facts=facts or {},
            code=CodeReader(self.root).file_names(FOLDER, declared.code),
            annotations=self._annotations(run),
        )

    def _annotations(self, run: str | None) -> dict[str, str]:
        """What the function asks for; nothing where there is none that can be read."""
        try:
            signature = CodeReader(self.root).step_signature(FOLDER, run) if run else None
        except TowpathError:
            return {}
        arguments = signature.arguments if signature else ()
        return {argument.name: argument.asks for argument in arguments if argument.asks}

    def call(self, order: Order, **limits: Any) -> Made:
        """Carry an order out in a process of its own, within limits; what it prints is kept."""
        limited = replace(order, step=order.step.model_copy(update=limits))
        return step_process.call_step(limited, self.lines.append)

    def carry_out(self, *args: Any, **named: Any) -> Made:
        """Make an order and carry it out."""
        return self.call(self.order(*args, **named))

    def read(self, artifact: Artifact) -> bytes:
        """The bytes of a file in the store."""
        return self.store.path(artifact.digest).read_bytes()


def _begin(folder: Path) -> Project:
    root = folder / "mein Projékt"
    (root / ".dvc").mkdir(parents=True)
    (root / FOLDER).mkdir(parents=True)
    return Project(root)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty project, whose path is not plain ASCII and has a blank in it."""
    return _begin(tmp_path)


@pytest.fixture(scope="module")
def warm_project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """A project with the module's ``STEPS``, and one supervisor for all its tests: it has imported
    the module's ``LIBRARIES``, for which each step would take half a second."""
    made = _begin(tmp_path_factory.mktemp("warm"))
    made.steps(request.module.STEPS)
    order = made.order("any", ["out.json"])
    libraries = {"any": request.module.LIBRARIES}
    with step_process.warm_supervisor(made.root, FOLDER, [order], libraries):
        yield made


@pytest.fixture
def warm(project: Project) -> Iterator[Callable[[], None]]:
    """Starts the supervisor of a run; called once the project's files are written."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(step_process.warm_supervisor(project.root, FOLDER, []))


@pytest.fixture(params=["forked", "spawned"])
def way(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    warm: Callable[[], None],
) -> Callable[[], None]:
    """Forked, and started as a new Python as on macOS: both ways must say the same."""
    monkeypatch.setenv("TOWPATH_FORK", "1" if request.param == "forked" else "0")
    return warm
