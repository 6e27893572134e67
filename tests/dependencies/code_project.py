"""A small project of code, written to disk, read, edited and run."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from command_line import run_python
from towpath.dependencies import CodeReader

Make = Callable[..., "Project"]
"""Makes a project of ``steps.py`` beside the pipeline, and of files named from the root."""

FOLDER = "flows/training"
STEPS = f"{FOLDER}/steps.py"

_RUN = """
import pathlib, sys
sys.dont_write_bytecode = True
from towpath.steps.project_functions import load_function, make_project_importable
root, folder, run = pathlib.Path(sys.argv[1]), *sys.argv[2:]
make_project_importable(root, folder)
print(repr(load_function(root, folder, run)()))
"""


@dataclass(frozen=True)
class Project:
    """A project's folder; files are named from its root."""

    root: Path

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.root / file
        text = path.read_text("utf-8")
        assert old in text, f"{file} does not say {old!r}"
        path.write_text(text.replace(old, new), "utf-8")

    def digests(self, run: str = "step", *extra: str) -> dict[str, str]:
        return dict(CodeReader(self.root).digests(FOLDER, run, extra))

    def changed(self, before: Mapping[str, str], run: str = "step", *extra: str) -> set[str]:
        """The labels whose digest is not what it was."""
        after = self.digests(run, *extra)
        return {each for each in {*before, *after} if before.get(each) != after.get(each)}

    def result(self, run: str = "step") -> str:
        """What the function returns, loaded as a step's process loads it, or how that ends."""
        texts = "".join(path.read_text("utf-8") for path in self.root.rglob("*.py"))
        imported = "steps" if re.search("numpy|pandas|sklearn", texts) else "functions"
        words = (str(self.root), FOLDER, run)
        done = run_python(self.root, _RUN, *words, imported=imported)
        return done.stdout or done.stderr.strip().splitlines()[-1]


def changes(made: Project, file: str, old: str, new: str) -> set[str]:
    """The labels that change with an edit."""
    before = made.digests()
    made.edit(file, old, new)
    return made.changed(before)
