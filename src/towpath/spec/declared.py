"""A pipeline together with where it was declared and what is wrong so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from towpath import documents
from towpath.errors import Fault, Place
from towpath.spec.pipeline import Pipeline


@dataclass(frozen=True)
class Places:
    """Where each part of a declaration stands; empty for what was made in Python."""

    node: documents.Node | None = None

    def at(self, *loc: str | int) -> Place | None:
        """The place of ``steps, train, inputs, 0``: of the innermost part that is written.

        Parts that the document does not spell (the branch of a union) are passed over.
        """
        if self.node is None:
            return None
        node, place = self.node, Place(self.node.place.file)
        for part in loc:
            if isinstance(node, documents.Mapping):
                entry = node.get(part) if isinstance(part, str) else None
                if entry:
                    node, place = entry.node, entry.place
            elif isinstance(node, documents.Sequence) and isinstance(part, int):
                node = node.items[part]
                place = node.place
        return place


@dataclass(frozen=True)
class Declared:
    """What a pipeline's file declares, or a pipeline that was made in Python.

    ``pipeline`` holds what could be read. ``malformed`` names parameters, inputs and steps that
    are declared and could not be: nothing is said of references to them. ``mentioned`` are the
    words in those, which may be uses of a parameter or an input. ``blind`` is true where so much
    is unreadable that an unknown name proves nothing. ``project_formats`` are the formats of its
    own that the project declares, by name.
    """

    pipeline: Pipeline
    places: Places = Places()
    faults: tuple[Fault, ...] = ()
    path: str = ""
    malformed: frozenset[str] = field(default_factory=frozenset)
    mentioned: frozenset[str] = field(default_factory=frozenset)
    blind: bool = False
    project_formats: Mapping[str, str] = field(default_factory=dict)

    @property
    def own_formats(self) -> dict[str, str]:
        """The class of each format that is not Towpath's, by name; a pipeline's goes first."""
        return {**self.project_formats, **self.pipeline.formats}

    @property
    def folder(self) -> str:
        """The pipeline's folder from the project's root, such as ``flows/training``."""
        return self.path.rpartition("/")[0] if self.path else f"flows/{self.pipeline.name}"
