"""Bytes as they were recorded, that hold only types known or trusted."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from towpath.config.gate_declarations import Safe
from towpath.delivery.gates import gate_process, verdict
from towpath.delivery.gates.gate_context import GateContext, GatePolicy
from towpath.delivery.gates.gate_process import read_safe
from towpath.delivery.gates.verdict import GateFinding
from towpath.errors import Refused, TowpathError
from towpath.steps.model_io import model_bundles

_PLAIN = (".json", ".txt", ".md", ".csv", ".tsv", ".parquet", ".safetensors", ".onnx")
"""Formats of data: to read them runs nothing of theirs."""

_PICKLED = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".sav")


def bound(gate: Safe) -> str:  # noqa: ARG001
    return "bytes as recorded, types known or trusted"


def judge(gate: Safe, context: GateContext, policy: GatePolicy) -> GateFinding:  # noqa: ARG001
    record = context.candidate
    path = context.model(record).absolute()
    if alteration := gate_process.explain_altered_bytes(path, record):
        return GateFinding(False, "altered", alteration)
    # By their names in the record: a store calls a file by its digest, without a suffix.
    names = {
        file.relative_to(path).as_posix() if path.is_dir() else record.artifact.name: str(file)
        for file in gate_process.list_model_files(path)
    }
    question = {"files": names, **gate_process.trusted_types(context)}
    if model_bundles.is_bundle(record.artifact.name):
        question |= {"model": str(path), "name": record.artifact.name}
    answer, caution = gate_process.ask_gate_process(gate, context, question, read_safe)
    if answer.unsafe:
        unsafe_files = "; ".join(f"{name} {why}" for name, why in list(answer.unsafe.items())[:5])
        return GateFinding(False, "unsafe", unsafe_files)
    parts = [f"sha256 {record.sha256[:12]}... as recorded", *answer.looked_at]
    return GateFinding(True, "safe", "; ".join([*parts, *filter(None, [caution])]))


def work(question: dict[str, Any]) -> dict[str, Any]:
    trust, own = question["trust"], question["own"]
    if "model" in question:
        return _judge_bundle(Path(question["model"]), question["name"], trust, own)
    judged = {
        name: _explain_unsafe(Path(path), name, trust, own)
        for name, path in question["files"].items()
    }
    unsafe = {name: why for name, why in judged.items() if why}
    looked_at = [
        words
        for name, path in question["files"].items()
        if not unsafe
        for words in _describe_types(Path(path), name, trust, own)
    ]
    return {"unsafe": unsafe, "looked_at": looked_at[:5]}


def _judge_bundle(path: Path, name: str, trust: list[str], own: dict[str, Any]) -> dict[str, Any]:
    """What a bundled model runs and holds, each of it named by `trust`, and its code its commit's;
    a pickle in it is opened by a function that `trust` names, or the model cannot be loaded."""
    try:
        model_bundles.load_version(path, name, trust, own)
    except TowpathError as refused:
        return {"unsafe": {name: verdict.verdict_fault_words(refused)}, "looked_at": []}
    description = model_bundles.read_description(path, name)
    functions = [function.full_name for function in description.functions]
    code = model_bundles.list_code(path)
    words = [f"{len(code)} files of code in {name} as committed"] if code else []
    words += [f"trusted: {', '.join(functions)}"] if functions else []
    opened = list(model_bundles.find_opened_parts(path, description))
    words += [f"opened by these alone: {', '.join(opened[:3])}"] if opened else []
    return {"unsafe": {}, "looked_at": words}


def _describe_types(
    path: Path, name: str, trust: list[str], own: dict[str, Any]
) -> tuple[str, ...]:
    from towpath.steps.model_io import own_classes, skops_models

    if Path(name).suffix.lower() != ".skops":
        return ()
    count, trusted = skops_models.count_held(path, name, trust)
    of_these = f", of these trusted: {', '.join(trusted)}" if trusted else ""
    others = own_classes.compare_recorded(path, name, own)[:2]
    return f"{count} types in {name} known{of_these}", *others


def _explain_unsafe(path: Path, name: str, trust: list[str], own: dict[str, Any]) -> str:
    suffix = Path(name).suffix.lower()
    if suffix == ".skops":
        return _strange_types(path, name, trust, own)
    if suffix in _PICKLED or _is_pickle(path):
        return "is a pickle, which runs code when it is loaded"
    return "" if suffix in _PLAIN else "is of a format that nothing here can look into"


def _strange_types(path: Path, name: str, trust: list[str], own: dict[str, Any]) -> str:
    from towpath.steps.model_io import own_classes, skops_models

    if strange := skops_models.find_untrusted(path, name, trust):
        return f"holds {', '.join(strange)}"
    # Types alone do not make it safe: the indices in a tree could lead compiled code astray, which
    # loading it holds against the tree's size.
    try:
        own_classes.load_model(path, name, trust, own)
    except Refused as refused:
        return f"is refused: {verdict.verdict_fault_words(refused)}"
    return ""


def _is_pickle(path: Path) -> bool:
    # By its bytes: whoever plants a pickle calls it something else. An archive of PyTorch's holds
    # one, too.
    with path.open("rb") as file:
        start = file.read(2)
    if len(start) == 2 and start[0] == 0x80 and start[1] <= 5:
        return True
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(member.endswith((".pkl", ".pickle")) for member in archive.namelist())
