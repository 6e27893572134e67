"""A registration that a trial leaves undone, kept in the run's folder for `towpath register`.

All that a version says is known when the run ends, and later is not: the work tree goes on. The
file is read as a stranger's, like all below ``.towpath``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import Malformed, StoreError
from towpath.registry import Record
from towpath.registry.record import read, write
from towpath.scratch import replace_text
from towpath.spec import foreign_values as foreign
from towpath.spec.foreign_values import Fields
from towpath.spec.project_paths import ProjectPath

DRAFT = "registration.json"


@dataclass(frozen=True)
class RegistrationDraft:
    """The record without its number, and the texts beside it by path from the Git root."""

    record: Record
    files: Mapping[str, str]


def write_draft(folder: Path, draft: RegistrationDraft) -> None:
    """Keep a draft in the folder of the step that registers."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"record": write(draft.record), "files": dict(draft.files)}
    replace_text(folder / DRAFT, json.dumps(document))


def read_draft(folder: Path) -> RegistrationDraft | None:
    """The draft in a step's folder, None where there is none; StoreError for a damaged one."""
    path = folder / DRAFT
    shown = "/".join(path.parts[-3:])
    try:
        fields = Fields(foreign.parse_json(path.read_bytes()))
        files = fields.get("files", foreign.table_of(foreign.read_text))
        record = read(fields.get("record", foreign.read_text), shown)
        return RegistrationDraft(record, {ProjectPath(name): text for name, text in files.items()})
    except OSError:
        return None
    except Malformed as wrong:
        hint = "no run wrote it so: run again, every step is reused"
        raise StoreError(f"{shown} cannot be read: {wrong.faults[0].what}", hint=hint) from None
