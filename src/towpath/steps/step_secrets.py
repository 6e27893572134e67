"""The secrets of a step in its own process: what they are, and that nothing it makes holds one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from towpath.backends.dvc import Store
from towpath.config.artifact import Artifact, Made
from towpath.errors import Fault, StepFailed
from towpath.secret_forms import secret_forms
from towpath.steps.work_order import Order

_SHORTEST = 8  # characters from which on a secret stands in no file by chance


def secret_values(order: Order) -> dict[str, str]:
    """The secrets that this process has, by variable."""
    named = {name: os.environ.get(name, "") for name in order.secrets}
    return {name: value for name, value in named.items() if value}


def refuse_told(order: Order, made: Made) -> None:
    """:raises StepFailed: naming each output that holds a secret: a record and a store are read by
    others."""
    secrets = {
        name: [form.encode() for form in secret_forms(value)]
        for name, value in secret_values(order).items()
        if len(value) >= _SHORTEST
    }
    if not secrets:
        return
    store = Store(order.root)
    faults = [
        Fault(f"output `{output}` holds the secret `{name}`", hint="leave it out of what is kept")
        for output, artifact in made.outputs.items()
        for name in _told_secrets(store, artifact, secrets)
    ]
    facts = json.dumps(dict(made.facts), default=str).encode()
    if any(form in facts for forms in secrets.values() for form in forms):
        faults.append(Fault("what the step notes of its outputs holds a secret"))
    if faults:
        raise StepFailed(*faults)


def _told_secrets(
    store: Store, artifact: Artifact, secrets: Mapping[str, list[bytes]]
) -> Iterator[str]:
    paths = [store.path(artifact.digest)]
    names = b""  # of the files in a folder
    if artifact.files is not None:
        members = store.members(artifact.digest)
        paths = [store.path(digest) for digest in members.values()]
        names = "\n".join(members).encode()
    for name, forms in secrets.items():
        if any(form in names for form in forms) or any(_holds(path, forms) for path in paths):
            yield name


def _holds(path: Path, forms: list[bytes]) -> bool:
    if not path.stat().st_size:
        return False
    import mmap

    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(form) >= 0 for form in forms)
