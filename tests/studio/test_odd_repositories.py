"""A repository that is not as it should be: the page stays, and says what is wrong, and where."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from towpath.delivery.promotion import decide_promotion
from towpath.delivery.promotion.decide_promotion import WaitingPromotion
from towpath.errors import ForgeError
from towpath.execution.run_record import EVENTS, new_folder
from towpath.studio.beside_answers import BesideAnswers

OpenStudio = Callable[[Path], httpx.Client]
PIPELINE = "description: trains\nsteps: {a: {run: a}}\n"
PATHS = ("/", "/pipelines/", "/pipelines/training/", "/runs/", "/models/", "/promotions/",
         "/search/?q=a")  # fmt: skip


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)


def begin(root: Path) -> None:
    git(root, "init", "-q", "-b", "main")


def commit(root: Path, message: str) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-qm", message)


def in_the_middle_of_a_merge(root: Path) -> None:
    begin(root)
    commit(root, "first")
    git(root, "checkout", "-qb", "other")
    (root / "towpath.yaml").write_text("name: other\nstages: {dev: {}}\n")
    commit(root, "other")
    git(root, "checkout", "-q", "main")
    (root / "towpath.yaml").write_text("name: mine\nstages: {uat: {}}\n")
    commit(root, "mine")
    subprocess.run(["git", "merge", "-q", "other"], cwd=root, capture_output=True, check=False)
    assert "<<<<<<<" in (root / "towpath.yaml").read_text()


def in_the_middle_of_a_rebase(root: Path) -> None:
    in_the_middle_of_a_merge(root)
    git(root, "merge", "--abort")
    subprocess.run(["git", "rebase", "other"], cwd=root, capture_output=True, check=False)


def in_the_middle_of_a_bisect(root: Path) -> None:
    begin(root)
    commit(root, "first")
    git(root, "bisect", "start")


def declaration_that_went(root: Path) -> None:
    begin(root)
    commit(root, "first")
    (root / "towpath.yaml").unlink()


def declaration_that_is_a_folder(root: Path) -> None:
    declaration_that_went(root)
    (root / "towpath.yaml").mkdir()


def declaration_that_is_a_pipe(root: Path) -> None:
    declaration_that_went(root)
    os.mkfifo(root / "towpath.yaml")


def declaration_that_leads_to_itself(root: Path) -> None:
    declaration_that_went(root)
    (root / "towpath.yaml").symlink_to("towpath.yaml")


def repository_of_somebody_else(root: Path) -> None:
    begin(root)
    commit(root, "first")
    for folder in (root, root / ".git"):
        os.chown(folder, 12345, 12345)


def broken_settings(root: Path) -> None:
    begin(root)
    (root / ".git" / "config").write_text("[core\n")


def damaged_tree(root: Path) -> None:
    begin(root)
    commit(root, "first")
    words = ["git", "rev-parse", "main^{tree}"]
    tree = subprocess.run(words, cwd=root, capture_output=True, text=True).stdout.strip()
    file = root / ".git" / "objects" / tree[:2] / tree[2:]
    file.chmod(0o644)
    file.write_bytes(b"nonsense")


def proposal_that_names_nothing(root: Path) -> None:
    begin(root)
    commit(root, "first")
    folder = root / ".git" / "refs" / "heads" / "promote"
    folder.mkdir()
    (folder / "a-v1.0.0-dev").write_text("1" * 40 + "\n")


def detached(root: Path) -> None:
    begin(root)
    commit(root, "first")
    git(root, "checkout", "-q", "--detach")
    git(root, "branch", "-D", "main")


def without_head(root: Path) -> None:
    begin(root)
    commit(root, "first")
    (root / ".git" / "HEAD").unlink()


def broken_pipeline(root: Path) -> None:
    begin(root)
    (root / "flows" / "training" / "pipeline.yaml").write_text("steps: {a: {run: [\n")


def pipeline_of_bytes(root: Path) -> None:
    (root / "flows" / "training" / "pipeline.yaml").write_bytes(b"\xff\xfe\x00")


def pipeline_that_is_a_pipe(root: Path) -> None:
    begin(root)
    (root / "flows" / "training" / "pipeline.yaml").unlink()
    os.mkfifo(root / "flows" / "training" / "pipeline.yaml")


def damaged_record(root: Path) -> None:
    (new_folder(root / ".towpath" / "runs") / EVENTS).write_text('{"event": "started"}\nnonsense\n')


def folder_that_nobody_reads(root: Path) -> None:
    (root / ".towpath").mkdir()
    (root / ".towpath" / "runs").write_text("a file")


STATES = {
    in_the_middle_of_a_merge: "a merge goes on in this work tree",
    in_the_middle_of_a_rebase: "a rebase goes on in this work tree",
    in_the_middle_of_a_bisect: "a bisect goes on in this work tree",
    declaration_that_went: "towpath.yaml: the file cannot be read: no such file or directory",
    declaration_that_is_a_folder: "towpath.yaml: the file cannot be read: is a directory",
    declaration_that_is_a_pipe: "towpath.yaml: the file cannot be read: it is a pipe",
    declaration_that_leads_to_itself: "the file cannot be read: too many levels of symbolic links",
    repository_of_somebody_else: "git config --global --add safe.directory",
    broken_settings: "bad config line 1 in file",
    damaged_tree: "is corrupt",
    proposal_that_names_nothing: "",
    detached: "which branch is main is not known",
    begin: "",
    without_head: "there is no Git repository here",
    broken_pipeline: "flows/training/pipeline.yaml:2: this is not YAML",
    pipeline_of_bytes: "flows/training/pipeline.yaml:1: the file is not UTF-8",
    pipeline_that_is_a_pipe: "flows/training/pipeline.yaml: the file cannot be read: it is a pipe",
    damaged_record: "",
    folder_that_nobody_reads: "",
}


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_the_pages_stay_with_a_word(
    tmp_path: Path, open_studio: OpenStudio, state: Callable[[Path], None]
) -> None:
    (tmp_path / "flows" / "training").mkdir(parents=True)
    (tmp_path / "flows" / "training" / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "towpath.yaml").write_text("name: small\nstages: {dev: {}}\n")
    if state is repository_of_somebody_else and os.getuid() != 0:
        pytest.skip("only root gives a folder away")
    state(tmp_path)
    client = open_studio(tmp_path)
    texts = []
    for path in PATHS:
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.text[-600:])
        texts.append(answer.text)
    assert any(STATES[state] in text for text in texts), texts[0]


def test_the_stages_of_main_stay_while_a_merge_goes_on(
    tmp_path: Path, open_studio: OpenStudio
) -> None:
    (tmp_path / "towpath.yaml").write_text("name: small\nstages: {dev: {}}\n")
    in_the_middle_of_a_merge(tmp_path)
    answer = open_studio(tmp_path).get("/stages/uat/")
    assert answer.status_code == 200
    assert "stages and gates are shown as the main branch declares them" in answer.text


def test_what_cannot_be_read_is_not_said_to_be_missing(
    tmp_path: Path, open_studio: OpenStudio
) -> None:
    (tmp_path / "towpath.yaml").write_text("name: small\n")
    broken_settings(tmp_path)
    answer = open_studio(tmp_path).get("/models/mean/")
    assert answer.status_code == 503
    assert "Cannot be shown now" in answer.text and "bad config line 1" in answer.text


def test_a_forge_that_is_slow_holds_up_no_page(
    tmp_path: Path, open_studio: OpenStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked beside the page, which says what it does not know yet, and since when it does."""
    (tmp_path / "towpath.yaml").write_text("name: small\n")
    begin(tmp_path)
    asked = threading.Semaphore(0)

    def answer_late(_: object) -> tuple[WaitingPromotion, ...]:
        if not asked.acquire(timeout=20):
            raise ForgeError("it is asleep")
        return (WaitingPromotion("promote/a-v1.0.0-dev", "Promote a", "Ada"),)

    monkeypatch.setattr(decide_promotion, "promotes_at_forge", lambda _: True)
    monkeypatch.setattr(decide_promotion, "find_waiting_promotions", answer_late)
    client = open_studio(tmp_path)
    begun = time.monotonic()
    assert "the forge has not answered yet" in client.get("/promotions/").text
    assert time.monotonic() - begun < 2
    asked.release()
    time.sleep(0.2)
    assert "Promote a" in client.get("/promotions/").text  # with no second question


def test_what_was_heard_is_kept_where_nothing_more_is() -> None:
    answers, replies = BesideAnswers(patience=5), iter([("a",)])

    def reply() -> tuple[str, ...]:
        for value in replies:
            return value
        raise ForgeError("it is away")

    assert answers.ask("x", reply).value == ("a",)
    assert answers.ask("x", reply).fault == ""  # fresh: not asked
    answers.note_action()
    heard = answers.ask("x", reply)
    assert (heard.value, heard.fault) == (("a",), "it is away")
