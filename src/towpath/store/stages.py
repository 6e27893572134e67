"""What Towpath says to DVC about a pipeline: stages, and models that are registered."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from towpath.errors import StoreError
from towpath.spec.artifact import Artifact, Json

OWNER = "towpath"
"""The key under a stage's `meta` that says whose it is, with the pipeline's name."""

_FORBIDDEN = frozenset(string.punctuation) - {"_", "-"}


@dataclass(frozen=True)
class Stage:
    """A stage of `dvc.yaml`. Paths are from the project's root, with `/` between the parts.

    ``params`` names keys of YAML files (`steps.train`); ``plots`` maps a path to True or to DVC's
    properties of a plot. No path may stand in more than one of outs, metrics and plots.
    """

    name: str
    cmd: str
    desc: str | None = None
    deps: tuple[str, ...] = ()
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    outs: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    plots: Mapping[str, bool | Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if wrong := sorted(_FORBIDDEN & set(self.name)):
            raise StoreError(f"`{self.name}` cannot name a DVC stage: it holds {' '.join(wrong)}")

    @property
    def made(self) -> tuple[str, ...]:
        """Every path that the stage writes, in DVC's order."""
        return tuple(sorted({*self.outs, *self.metrics, *self.plots}))


@dataclass(frozen=True)
class Model:
    """A model in `dvc.yaml`'s `artifacts`: its file, and what people say of it."""

    path: str
    desc: str | None = None
    labels: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The entry in `dvc.yaml`."""
        said = {"path": self.path, "type": "model", "desc": self.desc, "labels": [*self.labels]}
        return {key: value for key, value in said.items() if value}


def declared(stage: Stage, pipeline: str) -> dict[str, Any]:
    """The entry of a stage in `dvc.yaml`."""
    said = {
        "desc": stage.desc and escaped(stage.desc),
        "cmd": escaped(stage.cmd),
        "deps": sorted(map(escaped, stage.deps)),
        "params": [{path: sorted(keys)} for path, keys in sorted(stage.params.items())],
        "outs": sorted(map(escaped, stage.outs)),
        "metrics": sorted(map(escaped, stage.metrics)),
        "plots": list(_plots(stage)),
        "meta": {OWNER: pipeline},
    }
    return {key: value for key, value in said.items() if value}


def _plots(stage: Stage) -> Iterator[str | dict[str, Any]]:
    for path, properties in sorted(stage.plots.items()):
        if isinstance(properties, Mapping) and properties:
            yield {escaped(path): dict(properties)}
        else:
            yield escaped(path)


def escaped(text: str) -> str:
    """Text in which DVC finds nothing to fill in."""
    return text.replace("${", "\\${")


def locked(
    stage: Stage,
    artifacts: Mapping[str, Artifact],
    values: Mapping[str, Mapping[str, Json]],
) -> dict[str, Any]:
    """The entry of a stage in `dvc.lock`: what its command saw and made, by digest and value."""
    said: dict[str, Any] = {
        "cmd": stage.cmd,
        "deps": [_row(path, artifacts[path]) for path in sorted(stage.deps)],
        "params": {
            path: {key: values[path][key] for key in sorted(keys)}
            for path, keys in sorted(stage.params.items())
        },
        "outs": [_row(path, artifacts[path]) for path in stage.made],
    }
    return {key: value for key, value in said.items() if value}


def _row(path: str, artifact: Artifact) -> dict[str, Any]:
    row = {"path": path, "hash": "md5", "md5": artifact.digest, "size": artifact.size}
    return row if artifact.files is None else {**row, "nfiles": artifact.files}
