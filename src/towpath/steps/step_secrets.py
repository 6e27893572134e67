"""The secrets of a step in its own process: what they are, and that nothing it makes holds one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from towpath.config.artifact import Made
from towpath.errors import Fault, StepFailed
from towpath.secret_forms import secret_forms
from towpath.steps.work_order import Order

_SHORTEST = 8  # characters from which on a secret stands in no file by chance


def secret_values(order: Order) -> dict[str, str]:
    """The secrets that this process has, by variable."""
    named = {name: os.environ.get(name, "") for name in order.secrets}
    return {name: value for name, value in named.items() if value}


def refuse_secrets_in_files(order: Order, files: Mapping[str, Path]) -> None:
    """Look through outputs before the store has them: from there neither their bytes nor the names
    of their files are taken back.

    :raises StepFailed: naming each that holds a secret: a record and a store are read by others.
    """
    secrets = _forms_by_secret(order)
    faults = [
        Fault(f"output `{output}` holds the secret `{name}`", hint="leave it out of what is kept")
        for output, path in (files.items() if secrets else ())
        for name in _find_secrets(path, secrets)
    ]
    if faults:
        raise StepFailed(*faults)


def refuse_secrets_in_facts(order: Order, made: Made) -> None:
    """:raises StepFailed: where what the step notes holds a secret."""
    secrets = _forms_by_secret(order)
    facts = json.dumps(dict(made.facts), default=str).encode() if secrets else b""
    if any(form in facts for forms in secrets.values() for form in forms):
        raise StepFailed("what the step notes of its outputs holds a secret")


def _forms_by_secret(order: Order) -> dict[str, list[bytes]]:
    return {
        name: [form.encode() for form in secret_forms(value)]
        for name, value in secret_values(order).items()
        if len(value) >= _SHORTEST
    }


def _find_secrets(path: Path, secrets: Mapping[str, list[bytes]]) -> Iterator[str]:
    inner_paths = list(path.rglob("*")) if path.is_dir() else []
    files = [inner_path for inner_path in inner_paths or [path] if inner_path.is_file()]
    names = b"\n".join(os.fsencode(inner_path.relative_to(path)) for inner_path in inner_paths)
    for name, forms in secrets.items():
        if any(form in names for form in forms) or any(_holds(file, forms) for file in files):
            yield name


def _holds(path: Path, forms: list[bytes]) -> bool:
    if not path.stat().st_size:
        return False
    import mmap

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(form) >= 0 for form in forms)
