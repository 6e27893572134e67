"""One object that a disk damaged or lost: every page stays, or says that it cannot be read."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
from page_walk import find_unfit, list_addresses, walk_pages

from running import Project
from towpath.execution.run_record import EVENTS

OpenStudio = Callable[[Path], httpx.Client]
STAGE_FILE = "registry/stages/dev/mean.yaml"
CORRUPT, LOST = "is corrupt", "its object is not in this clone, or is broken"
#: An object by its name in Git, and what the pages say of it where it is damaged.
WORDS = {
    "main": CORRUPT,
    "main^{tree}": CORRUPT,
    "main~1": CORRUPT,
    f"main:{STAGE_FILE}": f"{STAGE_FILE}: it cannot be read: {LOST}",
    "promote/mean-v1.0.0-uat^{tree}": CORRUPT,
    "refs/tags/mean@v1.0.0": f"the tag mean@v1.0.0 cannot be read: {LOST}",
    "mean@v1.0.0:registry/models/mean/v1.0.0.yaml": "mean@v1.0.0 has no record",
    "a run": "the record of run",
}


def find_file(root: Path, name: str) -> Path:
    if name == "a run":
        return max((root / ".towpath" / "runs").glob(f"*/{EVENTS}"))
    words = ["git", "rev-parse", name]
    answer = subprocess.run(words, cwd=root, check=True, capture_output=True, text=True)
    object_ = answer.stdout.strip()
    return root / ".git" / "objects" / object_[:2] / object_[2:]


def test_one_damaged_object_hides_no_page(own_shown: Project, open_studio: OpenStudio) -> None:
    root = own_shown.root
    of_runs = ("/runs/", "/pipelines/", "/data/", "/compare/runs/", "/compare/logs/")
    addresses = [path for path in list_addresses(root) if not path.startswith(of_runs)]
    newest = find_file(root, "a run").parent.name
    for name, words in WORDS.items():
        file = find_file(root, name)
        content = file.read_bytes()
        file.chmod(0o644)
        file.write_bytes(b"nonsense")
        about = [f"/runs/{newest}/"] if name == "a run" else addresses
        answers = walk_pages(open_studio(root), about)
        assert find_unfit(answers, ["/"]) == [], name
        assert {answer.status_code for answer in answers.values()} <= {200, 503}, name
        assert any(words in answer.text for answer in answers.values()), name
        file.write_bytes(content)
