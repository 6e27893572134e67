"""Executes a notebook by papermill, in a kernel of this Python, and makes a page of it."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from towpath.credentials import hide_known
from towpath.scratch import scratch_folder

_NUMBER = "towpath_cell"
"""The key, in a cell's metadata while it is executed, of its number in the source."""
_KERNEL = "python3"
_LONGEST_SOCKET = 90  # bytes; a path of a local socket has at most 104 on macOS, 108 on Linux
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_IN_CELL = re.compile(r"Cell In\[\d+\], line (\d+)")
# Jupyter's own, which would load others from elsewhere: formulas stay as they are written, diagrams
# as text. Those of the cells stand behind the head.
_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
_KERNEL_DIED = ("DeadKernelError", "RuntimeError")  # the second where it dies before it answers


class CellFailure(Struct, frozen=True):
    """What ended a notebook: the number of the cell in the source (0: none of it, but the values
    that it was given), the line in the cell (0: unknown), and the error."""

    number: int
    line: int
    name: str
    words: str

    @property
    def has_died(self) -> bool:
        """Whether the kernel is gone, and not an exception of the cell's."""
        return self.name in _KERNEL_DIED and not self.line


class ExecutedNotebook(Struct, frozen=True):
    """A notebook with what its cells gave, as Jupyter has it; ``failure`` is what ended it."""

    document: Any
    failure: CellFailure | None = None

    def make_portable(self, *folders: Path) -> ExecutedNotebook:
        """The same without secrets, and with paths in these folders as they are from there: what
        was executed in another run's folder, or on another machine, is the same then."""
        text = json.dumps(self.document, ensure_ascii=False)
        for folder in folders:
            prefix = f"{folder}/"
            # As it stands in an output, and as papermill writes it into the cell of the values.
            for written in (prefix, prefix.encode("unicode_escape").decode()):
                text = text.replace(json.dumps(written, ensure_ascii=False)[1:-1], "")
        import nbformat

        return replace(self, document=nbformat.from_dict(_without_secrets(json.loads(text))))

    def write_notebook(self, path: Path) -> None:
        """Write it as .ipynb."""
        import nbformat

        nbformat.write(self.document, path)

    def write_page(self, path: Path, title: str) -> None:
        """Write it as a page of HTML that needs nothing from elsewhere."""
        from nbconvert import HTMLExporter

        nowhere = dict.fromkeys(
            ("require_js_url", "mathjax_url", "mermaid_js_url", "mermaid_layout_elk_js_url",
             "jquery_url", "jupyter_widgets_base_url", "widget_renderer_url"), ""
        )  # fmt: skip
        exporter = HTMLExporter(template_name="lab", embed_images=True, **nowhere)
        self.document.metadata["title"] = title
        whole, _ = exporter.from_notebook_node(self.document)
        head, end, body = whole.partition("</head>")
        path.write_text(f"{_SCRIPT.sub('', head)}{end}{body}", encoding="utf-8")


def _without_secrets(value: Any) -> Any:
    """A document without what its cells printed of their step's secrets."""
    if isinstance(value, str):
        return hide_known(value)
    if isinstance(value, dict):
        return {key: _without_secrets(part) for key, part in value.items()}
    return [_without_secrets(part) for part in value] if isinstance(value, list) else value


def execute_notebook(
    source: str, values: Mapping[str, Any], folder: Path, environment: Mapping[str, str]
) -> ExecutedNotebook:
    """Execute a notebook from its text in ``folder``, with ``values`` for variables of these names.

    What its cells print is printed. It changes this process's variables: the kernel has them too.
    """
    import nbformat

    os.environ.update(environment)
    # The picture of a figure stands below its cell, which a step's own backend would draw nowhere.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    # `reads_json` joins the lines of a cell, of which Jupyter writes a list.
    text = json.dumps(_with_ids(json.loads(source)))
    document = nbformat.v4.upgrade(nbformat.v4.reads_json(text))
    for number, cell in enumerate(document.cells, 1):
        cell.metadata[_NUMBER] = number
        cell.metadata.setdefault("tags", [])  # papermill looks into them
        if cell.cell_type == "code":  # what an earlier execution left
            cell.outputs, cell.execution_count = [], None
    document = _inject_values(document, values)
    with _own_kernel() as kernel:
        failure = _run_cells(document, folder, kernel)
    return ExecutedNotebook(_without_traces(document), failure)


def _with_ids(document: dict[str, Any]) -> dict[str, Any]:
    """The same with an id for each cell, which nbformat would draw at random, and warn of."""
    if (document.get("nbformat_minor") or 0) >= 5:
        for number, cell in enumerate(document["cells"], 1):
            cell["id"] = f"source-{number}"
    return document


def _inject_values(document: Any, values: Mapping[str, Any]) -> Any:
    logging.getLogger("papermill").setLevel(logging.ERROR)  # it warns of a cell that need not be
    from papermill.parameterize import parameterize_notebook

    document.metadata.papermill = {}
    plain = {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
    injected: Any = document
    if plain:
        injected = parameterize_notebook(
            document, plain, kernel_name=_KERNEL, language="python", comment="Given by the pipeline"
        )
    for index, cell in enumerate(injected.cells):
        cell.id = f"cell-{index + 1}"  # one that has none gets a random one: the bytes shall repeat
    return injected


@contextmanager
def _own_kernel() -> Iterator[dict[str, Any]]:
    """The settings of a kernel of this very Python, with nothing of the user's Jupyter in it."""
    from traitlets.config import Config

    with scratch_folder() as scratch:
        spec = scratch / "kernels" / _KERNEL
        spec.mkdir(parents=True)
        words = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        described = {"argv": words, "display_name": "Python", "language": "python"}
        (spec / "kernel.json").write_text(json.dumps(described), encoding="utf-8")
        # Settings, start-up files and the history of IPython are the user's: another's differ, and
        # two kernels at once would wait for one history.
        os.environ |= {
            "JUPYTER_PATH": os.pathsep.join([str(scratch), *_page_templates()]),
            "JUPYTER_CONFIG_DIR": str(scratch / "config"),
            "JUPYTER_RUNTIME_DIR": str(scratch), "IPYTHONDIR": str(scratch / "ipython"),
            "JUPYTER_NO_CONFIG": "1", "JUPYTER_PLATFORM_DIRS": "1",
        }  # fmt: skip
        config = Config()
        connection = scratch / "k.json"
        # A local socket is nobody else's, while a free port may be taken before the kernel has it.
        if len(os.fsencode(connection)) < _LONGEST_SOCKET:
            config.KernelManager.transport = "ipc"
        config.KernelManager.connection_file = str(connection)
        yield {"config": config}


def _page_templates() -> Iterator[str]:
    """Where the templates of pages are: beside nbconvert, which of a step with packages of its own
    may be of another environment than its Python."""
    spec = find_spec("nbconvert")
    if spec and spec.origin:
        yield str(Path(spec.origin).parents[4] / "share" / "jupyter")


def _run_cells(document: Any, folder: Path, kernel: Mapping[str, Any]) -> CellFailure | None:
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.engines import papermill_engines

    try:
        papermill_engines.execute_notebook_with_engine(
            None, document, kernel_name=_KERNEL, output_path=None, progress_bar=False,
            stdout_file=sys.stdout, stderr_file=sys.stderr, start_timeout=120,
            resources={"metadata": {"path": str(folder)}}, **kernel,
        )  # fmt: skip
    except (DeadKernelError, CellTimeoutError, RuntimeError) as error:
        begun = [cell for cell in document.cells if cell.metadata.papermill.get("start_time")]
        number = begun[-1].metadata.get(_NUMBER, 0) if begun else 0
        return CellFailure(number, 0, type(error).__name__, str(error))
    return next(filter(None, map(_find_failure, document.cells)), None)


def _find_failure(cell: Any) -> CellFailure | None:
    number = cell.metadata.get(_NUMBER, 0)
    for output in cell.get("outputs", ()):
        if output.output_type != "error":
            continue
        is_good_exit = output.ename == "SystemExit" and output.evalue in ("", "0", "None")
        if is_good_exit or "raises-exception" in cell.metadata.get("tags", ()):
            continue
        line = _IN_CELL.search(_COLOUR.sub("", "\n".join(output.traceback)))
        return CellFailure(number, int(line[1]) if line else 0, output.ename, output.evalue)
    return None


def _without_traces(document: Any) -> Any:
    """The same without times and what was noted for the execution: the same cells, outputs and
    values give the same bytes."""
    document.metadata.pop("papermill", None)
    for cell in document.cells:
        for key in ("papermill", "execution", _NUMBER):
            cell.metadata.pop(key, None)
    return document
