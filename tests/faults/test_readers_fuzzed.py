"""Every reader of what strangers write, on anything: a value, or an error that is no bug of ours.

Documents are made up, and true ones are changed in a place. ``TOWPATH_FUZZ=50000`` tries so many
of each kind and other ones each time (``make fuzz``); without it a few, and always the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promotion_project import draft
from towpath import documents
from towpath.audit import stage_history
from towpath.audit.search_query import parse_query
from towpath.audit.version_search import version_vocabulary
from towpath.backends.dvc import dvc_yaml, tracked_files
from towpath.backends.dvc.dvc_config import DvcConfig
from towpath.backends.git.commit_history import parse_trailers
from towpath.backends.prefect.server import server_state, worker
from towpath.backends.prefect.server.api_home import ApiHome
from towpath.config.foreign_paths import ProjectPath
from towpath.config.foreign_values import parse_json
from towpath.config.project_declaration import parse_project
from towpath.delivery.gates import gate_process
from towpath.delivery.gates.verdict import Unjudged
from towpath.delivery.reconcile import bundle, deployment_record, lease, remembered_main, smoke_test
from towpath.drawing import picture_file
from towpath.drawing.alike_boxes import group_alike
from towpath.drawing.graph_layout import lay_out_picture
from towpath.drawing.picture import fold_picture
from towpath.errors import ExitCode, Malformed, TowpathError
from towpath.execution import run_record as runs
from towpath.planning import step_decisions
from towpath.registry import stage_files, tag_message, version_record, version_reference
from towpath.registry.version_reference import VersionNumber
from towpath.sandbox import foreign_code
from towpath.storage import cache_entries
from towpath.storage.folder import Folder
from towpath.storage.stage_store import StageStore
from towpath.storage.verified_bytes import read_manifest
from towpath.versions import work_tree_files

TRIES = int(os.environ.get("TOWPATH_FUZZ", "0"))
FEW = 8
#: Deeper than Python recurses, and than any reader goes; DVC's reader of its configuration takes
#: the square of it, 20 seconds for three times as much.
ENDLESS = 10_000
settings.register_profile(
    "towpath",
    max_examples=TRIES or FEW,
    deadline=None,
    database=None,
    derandomize=not TRIES,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("towpath")

Read = Callable[[bytes, Path], object]
MD5, SHA256, COMMIT = "5f" * 16, "ab" * 32, "c0ffee" * 6 + "c0ff"
TIME = "2026-11-22T14:42:00Z"
MODEL = {"digest": MD5, "size": 7, "name": "m.skops", "files": None}
MADE = {"outputs": {"model": MODEL}, "values": {"metrics": {"mse": 4.5}}, "facts": {"rows": 3}}

RECORD = {
    "schema": 1, "model": "abalone", "version": "v1.2.3", "key": SHA256,
    "bump": {"level": "minor", "reason": "parameter x"}, "description": "said",
    "labels": {"team": "shellfish"}, "metrics": {"mse": 4.5, "by": {"f1": 0.5}},
    "artifact": {"path": "a/m.skops", "kind": "skops", "md5": MD5, "sha256": SHA256, "size": 9},
    "signature": {"inputs": [{"name": "x", "type": "number"}], "outputs": "unknown",
                  "features": 3, "classes": ["m", 1], "model": "SVC"},
    "parameters": {"lr": 0.1, "deep": [1, {"a": None}]}, "data": {"raw": MD5},
    "pipeline": {"name": "training", "digest": "p1"}, "run": "20261122-144200-3fa1",
    "code": {"commit": COMMIT, "digests": {"steps.train": "d1"}, "repository": "https://x/y"},
    "python": "3.11", "packages": {"pandas": "3.1"}, "author": "Ada <a@x>", "time": TIME,
}  # fmt: skip
SUMMARY = {
    "schema": 1, "key": SHA256, "md5": MD5, "sha256": SHA256, "size": 9, "kind": "skops",
    "metrics": {"mse": 4.5}, "params": {"lr": 0.1}, "labels": {"t": "x"}, "data": {"raw": MD5},
    "pipeline": "training", "run": "r", "code": COMMIT, "author": "a", "time": TIME,
}  # fmt: skip
STAGE_FILE = {"model": "abalone", "version": "v1.1.0", "sha256": SHA256, "replaces": "v1.0.0"}
ROW = {"md5": MD5, "size": 7, "hash": "md5", "path": "raw.csv"}
POINTER = {"wdir": "..", "outs": [ROW, {**ROW, "md5": f"{MD5}.dir", "nfiles": 2}]}
LOCK = {
    "schema": "2.0",
    "stages": {"make": {"cmd": "make", "deps": [ROW], "outs": [ROW, {"path": "x"}]}},
}
DVC_YAML = {
    "stages": {"make": {"cmd": "make", "wdir": "data", "outs": ["x"], "meta": {"towpath": "t"}}},
    "artifacts": {"abalone": {"path": "x", "type": "model"}},
}
DEPLOYED = {
    "model": "abalone", "stage": "prod", "version": "v1.0.0", "sha256": SHA256, "md5": MD5,
    "promotion": COMMIT, "time": TIME, "target": "files deploy",
    "approval": {"level": "signed", "by": ["bo"], "where": None, "evidence": "e.md"},
}  # fmt: skip
LEASE = {
    "owner": "ada@host", "since": 1.0, "expires": 99.0, "nonce": "ab", "machine": "m",
    "process": 7, "began": 0.5,
}  # fmt: skip
ENTRY = {
    "schema": 1, "key": SHA256, "pipeline": "training", "step": "train", "made_by": "ada",
    "made": TIME, "seconds": 1.5, "writer": "ci", "ingredients": {"input raw": MD5},
    "result": MADE,
}  # fmt: skip
EVENTS = [
    {"event": "started", "time": TIME, "run": "run", "pipeline": "training", "params": {"a": 1},
     "steps": {"train": "training"}, "inputs": {"raw": MD5}, "origin": {"pid": 1, "host": "h"},
     "asked": {"params": {"a": 1}, "inputs": {"raw": "x"}, "only": ["train"], "begin": None}},
    {"event": "step", "time": TIME, "step": "train", "state": "running", "attempt": 1},
    {"event": "step", "time": TIME, "step": "train", "state": "done", "seconds": 0.5, "key": "k",
     "ingredients": {"code steps": "d"}, "made": MADE, "error": []},
    {"event": "published", "time": TIME, "versions": ["abalone@v1.0.0"]},
    {"event": "finished", "time": TIME, "state": "done", "seconds": 1.0, "exit_code": 0},
]  # fmt: skip
PICTURE = {
    "title": "training", "description": "", "boxes": [["in.a", "STEP", "step", ""],
    ["b", "CHECK", "check", "x"]], "lines": [["in.a", "b", "yes", False]],
    "frames": [["in", "STEP", "pipeline", ""]], "inside": {"in.a": "in"},
}  # fmt: skip
PROJECT = {
    "name": "shells", "stores": {"data": {"url": "s3://b/x"}},
    "stages": {"dev": {"gates": {"good": {"kind": "metric", "metric": "mse", "at_most": 6.0}}}},
    "policy": {"ladder": True},
}  # fmt: skip


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _read_record(content: bytes, _: Path) -> None:
    """And what is done with it: written again, tagged, laid beside another."""
    found = version_record.parse_version_record(_text(content), "x")
    written = version_record.write_version_record(found)
    assert (
        version_record.write_version_record(version_record.parse_version_record(written, "again"))
        == written
    )
    tag_message.compose_tag_message(found).encode()


def _read_tag(content: bytes, _: Path) -> None:
    message = f"title\n\ntowpath: {_text(content)}\n"
    summary = tag_message.parse_summary(message)
    json.dumps(summary, ensure_ascii=False).encode()
    sum(tag_message.parse_summary(message).get("metrics", {}).values())
    for value in (*summary.get("params", {}).values(), summary.get("size", 0)):
        f"{value:.6g}" if isinstance(value, int | float) else str(value)


def _read_lock(content: bytes, home: Path) -> None:
    (home / "dvc.lock").write_bytes(content)
    (home / "dvc.yaml").unlink(missing_ok=True)
    for output in tracked_files.locked_outputs(home):
        assert ProjectPath(output.path) == output.path
    dvc_yaml.made_digests(home)


def _read_dvc_yaml(content: bytes, home: Path) -> None:
    (home / "dvc.yaml").write_bytes(content)
    (home / "dvc.lock").write_text(json.dumps(LOCK))
    documents.read_section(_text(content), "stages")
    dvc_yaml.read_stages(_text(content), "dvc.yaml", is_strict=False)
    list(tracked_files.locked_outputs(home))
    documents.edit_yaml(home / "dvc.yaml", lambda data: data.setdefault("x", 1))


def _read_run(content: bytes, home: Path) -> None:
    (home / "run").mkdir(exist_ok=True)
    (home / "run" / "events.jsonl").write_bytes(content)
    found = runs.read_run(home / "run")
    if found:
        assert found.id == "run"
        json.dumps(
            [
                *found.values,
                found.count_states()[runs.ExecutionState.DONE],
                found.asked.get("params"),
            ]
        )


def _read_events(content: bytes, home: Path) -> None:
    """A document for each line, so that what is changed is an event and not the list."""
    document = json.loads(content)
    lines = document if isinstance(document, list) else [document]
    _read_run("\n".join(map(json.dumps, lines)).encode(), home)


def _read_kept_picture(content: bytes, home: Path) -> None:
    """What is read is drawn: no line leads nowhere, and no frame stands in itself."""
    (home / picture_file.PICTURE_FILE).write_bytes(content)
    if kept := picture_file.find_picture(home):
        for opened in ((), tuple(kept.frames)):
            drawn = fold_picture(group_alike(kept)[0], opened)
            lay_out_picture(drawn, dict.fromkeys(drawn.boxes, (80.0, 40.0)), len, 30.0)


def _read_reply(read: Callable[[object], object]) -> Read:
    """What a gate's process answers, and what is done with it: it is shown."""

    def call(content: bytes, _: Path) -> None:
        try:
            reply = str(gate_process.read_reply(parse_json(content), read))
        except Unjudged as refusal:
            reply = str(refusal)
        json.dumps(reply).encode()

    return call


def _read_witness(content: bytes, home: Path) -> None:
    store = StageStore("dev", Folder(home, "a folder"))
    (home / "towpath").mkdir(exist_ok=True)
    (home / "towpath" / "main.json").write_bytes(content)
    remembered_main.read_witness(store)


def _read_bundle(content: bytes, home: Path) -> None:
    (home / bundle.MANIFEST).write_bytes(content)
    assert bundle.is_whole(home, draft(version=VersionNumber(9, 9, 9)), "dev") is False


def _read_file(read: Callable[[Path], object]) -> Read:
    def call(content: bytes, home: Path) -> object:
        (home / "file.json").write_bytes(content)
        return read(home / "file.json")

    return call


def _read_process(name: str, read: Callable[[ApiHome], object]) -> Read:
    def call(content: bytes, home: Path) -> None:
        (home / name).write_bytes(content)
        if read(ApiHome(home)) is None:
            raise Malformed("it tells of no process")

    return call


def _read_expression(content: bytes, _: Path) -> None:
    parse_query(_text(content), version_vocabulary([]))


def _read_names(content: bytes, _: Path) -> None:
    text = _text(content)
    version_reference.parse_tag(text)
    VersionNumber.parse(text)
    parse_trailers(text)
    stage_files.parse_stage_file_path(text)
    for read in (version_reference.parse_reference, stage_history.parse_moment, ProjectPath):
        try:
            read(text)
        except TowpathError as refused:
            assert refused.exit_code is not ExitCode.BUG


READERS: Mapping[str, tuple[Read, Any]] = {
    "record": (_read_record, RECORD),
    "tag": (_read_tag, SUMMARY),
    "stage file": (
        lambda content, _: stage_files.parse_stage_file(
            "registry/stages/prod/abalone.yaml", _text(content)
        ),
        STAGE_FILE,
    ),
    "pointer": (
        lambda content, _: list(tracked_files.read_pointer(_text(content), "a/x.dvc")),
        POINTER,
    ),
    "dvc.lock": (_read_lock, LOCK),
    "dvc.yaml": (_read_dvc_yaml, DVC_YAML),
    "manifest": (lambda content, _: read_manifest(content), [{"md5": MD5, "relpath": "a/b"}]),
    "entry": (lambda content, _: cache_entries.load_entry(content), ENTRY),
    "deployment": (
        lambda content, _: deployment_record.read_deployed(content, "abalone"),
        {"schema": 1, **DEPLOYED, "previous": [DEPLOYED]},
    ),
    "lease": (lambda content, _: str(lease.read_lease(content)), LEASE),
    "memory of main": (_read_witness, {"schema": 1, "main": COMMIT, "root": COMMIT}),
    "sandbox": (
        lambda content, _: foreign_code.read_answer(b'{"missing": ["namespaces"]}', content),
        {"answer": {"why": "it does not fit"}},
    ),
    "sandbox's fences": (
        lambda content, _: foreign_code.read_answer(content, b'{"answer": 1}').missing_fences,
        {"missing": ["namespaces"]},
    ),
    "gate's refusal": (_read_reply(gate_process.read_latency), {"why": "it does not fit"}),
    "gate of a function": (
        _read_reply(gate_process.read_function),
        {"answer": {"passed": True, "value": 4.5, "bound": "at most 5", "detail": ["a", 1]}},
    ),
    "gate of golden samples": (
        _read_reply(gate_process.read_golden),
        {"answer": {"given": [1.5, [2]], "expected": [1, "x"]}},
    ),
    "gate of latency": (
        _read_reply(gate_process.read_latency),
        {"answer": {"seconds": [0.5, 0.25]}},
    ),
    "gate of fairness": (
        _read_reply(gate_process.read_fairness),
        {"answer": {"errors": {"m": 0.5}, "small": ["f"]}},
    ),
    "gate of safety": (
        _read_reply(gate_process.read_safe),
        {"answer": {"unsafe": {"m.pkl": "is a pickle"}, "looked_at": ["3 types known"]}},
    ),
    "gate of expectations": (
        _read_reply(gate_process.read_expectations),
        {"answer": {"rows": 9, "count": 2, "held": 1, "failed": ["x"], "warned": []}},
    ),
    "smoke test": (
        lambda content, _: smoke_test.read_smoke(parse_json(content), 2),
        {"rows": 2, "models": [{"predictions": [0.5, "a"]}, {"error": "ValueError: no"}]},
    ),
    "bundle": (_read_bundle, {"version": "v9.9.9", "files": {"a": SHA256}}),
    "run": (_read_run, None),
    "events": (_read_events, EVENTS),
    "picture": (_read_kept_picture, PICTURE),
    "memory": (
        _read_file(lambda path: step_decisions.PipelineMemory(path).find_last("train")),
        {"train": {"key": "k", "ingredients": {"a": "b"}, "undeclared": []}},
    ),
    "ledger": (_read_file(work_tree_files._read_ledger), {"artifacts/x": MD5}),
    "local API": (
        _read_process("state.json", server_state.read_api_state),
        {"port": 4200, "pid": 7, "born": 1.5, "since": TIME, "prefect": "3.8.0", "secret": "s"},
    ),
    "worker": (
        _read_process("up.json", worker.read_mark),
        {"pid": 7, "born": 1.5, "since": TIME, "pool": "p", "project": "/x"},
    ),
    "policy": (lambda content, _: parse_project(_text(content)), PROJECT),
    "configuration": (
        lambda content, _: DvcConfig.parse_text(_text(content)).default_remote(),
        None,
    ),
    "expression": (_read_expression, None),
    "names": (_read_names, None),
}
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 10**400, -(2**63), float("nan"), float("inf"), "", "..", "/abs",
    "../../x", ".git/config", "\ud800", "a\0b", "a\nb", "v1.0.0", "v٣.0.0", MD5, f"{MD5}.dir",
    "9" * 5000, "2099-01-01", "0000-00-00T00:00:00Z", [], {}, [[]], {"": {}}, [None], {"a": 3},
]  # fmt: skip
SCALARS = st.sampled_from(ODD) | st.integers() | st.floats() | st.text(max_size=20)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner)
)
TEXTS = st.sampled_from(
    ["", "[" * 100_000, '{"a":' * 5_000, "\ufeff", "%YAML 1.1\n--- a", "a: &x *x", "? [a]: b",
     "!!python/object:os.system x", "a: 2001-99-99", "- - -", "\x00", "'", "{a: b", "1: 2",
     "a: !!int x", "--- a\n--- b", "<<: *a", "\t", "a: 0x" + "f" * 5000, "!<tag:x> {a: b}", "? ",
     "&a [*a]", "a: |9\n b", "%TAG ! x\n---\n!a b", "\N{LINE SEPARATOR}: x", '"\\x41": 1',
     'stages:\n  "\\x41":\n    cmd: x\n']
)  # fmt: skip


@st.composite
def _changed(draw: st.DrawFn, document: Any) -> Any:
    """A true document that says something else in one place, lacks it, or has something more."""
    changed = json.loads(json.dumps(document))
    holder, key = changed, None
    for _ in range(draw(st.integers(1, 5))):
        inside = holder if key is None else holder[key]
        if not isinstance(inside, dict | list) or not inside:
            break
        holder = inside
        key = draw(
            st.sampled_from(sorted(inside) if isinstance(inside, dict) else range(len(inside)))
        )
    match draw(st.sampled_from(["say", "say", "drop", "add"])):
        case "drop":
            del holder[key]
        case "add" if isinstance(holder, dict):
            holder[draw(st.text(max_size=5))] = draw(DOCUMENTS)
        case _:
            holder[key] = draw(DOCUMENTS)
    return changed


def _bytes_of(document: Any) -> bytes:
    return json.dumps(document).encode()


def _try(name: str, content: bytes, home: Path) -> None:
    read, _ = READERS[name]
    try:
        read(content, home)
    except TowpathError as refused:
        assert refused.exit_code is not ExitCode.BUG
        assert refused.faults
        assert all(fault.what for fault in refused.faults)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for readers of files; each example writes its own there."""
    return tmp_path_factory.mktemp("fuzzed")


DOCUMENTED = [name for name, (_, document) in READERS.items() if document is not None]
AS_TEXT = [name for name in READERS if name not in ("events", "event")]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_true_document_is_read(name: str, home: Path) -> None:
    """Else the mutations would all be refused for one and the same reason."""
    read, document = READERS[name]
    read(_bytes_of(document), home)


@pytest.mark.parametrize("name", DOCUMENTED)
@given(data=st.data())
def test_a_true_document_with_a_change(name: str, home: Path, data: st.DataObject) -> None:
    _try(name, _bytes_of(data.draw(_changed(READERS[name][1]))), home)


@pytest.mark.parametrize("name", DOCUMENTED)
@given(document=DOCUMENTS)
def test_any_document(name: str, home: Path, document: Any) -> None:
    _try(name, _bytes_of(document), home)


@pytest.mark.parametrize("name", AS_TEXT)
@given(content=st.binary(max_size=200) | TEXTS.map(str.encode) | st.text().map(str.encode))
def test_any_bytes(name: str, home: Path, content: bytes) -> None:
    _try(name, content, home)


@pytest.mark.parametrize("name", [name for name in AS_TEXT if READERS[name][1] is not None])
@given(data=st.data())
def test_a_true_document_torn_or_altered(name: str, home: Path, data: st.DataObject) -> None:
    whole = bytearray(_bytes_of(READERS[name][1]))
    for _ in range(data.draw(st.integers(0, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    _try(name, bytes(whole[: data.draw(st.integers(0, len(whole)))]), home)


@pytest.mark.parametrize("name", AS_TEXT)
@pytest.mark.parametrize("text", ["[" * ENDLESS, "{" * ENDLESS, "9" * ENDLESS, "- " * ENDLESS])
def test_documents_without_end(name: str, home: Path, text: str) -> None:
    _try(name, text.encode(), home)
