"""From the events of a YAML parser to a tree, noting what is refused on the way."""

from __future__ import annotations

from collections.abc import Iterator

from ruamel.yaml import events
from ruamel.yaml.error import MarkedYAMLError

from towpath.documents.scalars import DoubtError, resolve
from towpath.documents.tree import Entry, Mapping, Node, Scalar, Sequence
from towpath.errors import Fault, Place

DEEPEST = 50  # no declaration nests so far; a hostile one would exhaust the stack


class Composer:
    """Builds one document's tree; ``faults`` fills up meanwhile."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []

    def nothing(self) -> Scalar:
        """What stands for an empty or unreadable document."""
        return Scalar(None, Place(self.file, 1, 1))

    def document(self, stream: Iterator[events.Event]) -> Node:
        """The tree of the first document; another one behind it is a fault."""
        node: Node | None = None
        for event in stream:
            if not isinstance(event, events.DocumentStartEvent):
                continue
            if node is not None:
                self._fault("a second document begins here", event, "one file holds one document")
                break
            self._directives(event)
            node = self._node(next(stream), stream, 0)
        return self.nothing() if node is None else node

    def _node(self, event: events.Event, stream: Iterator[events.Event], depth: int) -> Node:
        if depth > DEEPEST:
            raise MarkedYAMLError(
                problem=f"nested deeper than {DEEPEST}", problem_mark=event.start_mark
            )
        if isinstance(event, events.ScalarEvent):  # nine in ten are: an audit reads a million
            if event.anchor or event.tag:
                self._decorations(event)
            return self._scalar(event)
        if isinstance(event, events.AliasEvent):
            self._fault(f"`*{event.anchor}` is an alias", event, "write the value out")
            return Scalar(None, self._place(event), sound=False)
        self._decorations(event)
        if isinstance(event, events.SequenceStartEvent):
            return self._sequence(event, stream, depth)
        return self._mapping(event, stream, depth)

    def _scalar(self, event: events.ScalarEvent) -> Scalar:
        place = self._place(event)
        if not event.implicit[0]:  # quoted, a block, or tagged
            return self._quoted(event, place)
        try:
            return Scalar(resolve(event.value), place)
        except DoubtError as doubt:
            self.faults.append(Fault(str(doubt), place, doubt.hint))
            return Scalar(event.value, place, sound=False)

    def _quoted(self, event: events.ScalarEvent, place: Place) -> Scalar:
        """JSON escapes a character beyond 16 bits as two halves, which YAML does not join; one
        half alone can be written nowhere."""
        text = event.value
        if not text.isascii():
            halves = text.encode("utf-16", "surrogatepass")
            text = halves.decode("utf-16", "replace")
            if "\ufffd" in text and "\ufffd" not in event.value:
                self._fault("this text holds half a character", event, "write the character out")
                return Scalar(text, place, sound=False)
        return Scalar(text, place, sound=event.tag is None)

    def _sequence(
        self, start: events.Event, stream: Iterator[events.Event], depth: int
    ) -> Sequence:
        items = []
        for event in stream:
            if isinstance(event, events.SequenceEndEvent):
                break
            items.append(self._node(event, stream, depth + 1))
        return Sequence(tuple(items), self._place(start))

    def _mapping(self, start: events.Event, stream: Iterator[events.Event], depth: int) -> Mapping:
        entries: dict[str, Entry] = {}
        sound = True
        for event in stream:
            if isinstance(event, events.MappingEndEvent):
                break
            key = self._node(event, stream, depth + 1)
            behind = next(stream)
            node = self._node(behind, stream, depth + 1)
            self._glued(event, behind)
            entry = self._entry(key, node, entries)
            if entry:
                entries[entry.key] = entry
            sound = sound and entry is not None
        return Mapping(tuple(entries.values()), self._place(start), sound)

    def _entry(self, key: Node, node: Node, entries: dict[str, Entry]) -> Entry | None:
        if not isinstance(key, Scalar):
            hint = "a value that begins with a bracket needs quotes"
            self.faults.append(Fault("a list or a mapping cannot be a key", key.place, hint))
            return None
        if not isinstance(key.value, str):
            if key.sound:
                what = f"a key must be text, not {'empty' if key.value is None else key.value}"
                self.faults.append(Fault(what, key.place, "write it in quotes"))
            return None
        if key.value in entries:
            first = entries[key.value].place.line
            what = f"`{key.value}` is written twice, first in line {first}"
            self.faults.append(Fault(what, key.place, "keep one of them"))
            return None
        return Entry(key.value, node, key.place)

    def _glued(self, key: events.Event, behind: events.Event) -> None:
        """``{raw:x}`` is a key ``raw:x`` without a value: never what was meant."""
        if not (isinstance(key, events.ScalarEvent) and isinstance(behind, events.ScalarEvent)):
            return
        if key.implicit[0] and ":" in key.value and behind.implicit[0] and behind.value == "":
            name, _, rest = key.value.partition(":")
            hint = f"write `{name}: {rest}`, or write it in quotes"
            self._fault(f"`{key.value}` has no blank behind its colon", key, hint)

    def _directives(self, event: events.DocumentStartEvent) -> None:
        if event.version not in (None, (1, 2)):
            # The parsers differ about where a document with directives begins.
            place = Place(self.file, 1, 1)
            self.faults.append(Fault("only YAML 1.2 is read", place, "remove the %YAML line"))

    def _decorations(self, event: events.Event) -> None:
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor:
            self._fault(f"`&{anchor}` is an anchor", event, "write the value out")
        if tag:
            shown = str(tag).replace("tag:yaml.org,2002:", "!!")
            self._fault(f"`{shown}` is a tag", event, "write the value without it")

    def _fault(self, what: str, event: events.Event, hint: str) -> None:
        self.faults.append(Fault(what, self._place(event), hint))

    def _place(self, event: events.Event) -> Place:
        mark = event.start_mark
        return Place(self.file, mark.line + 1, mark.column + 1)
