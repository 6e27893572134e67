"""The door to ruamel.yaml: from its events to a tree, and changes of files that people write too.

What is refused on the way is noted, and reading goes on.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, MutableMapping
from typing import Any

from ruamel.yaml import YAML, events
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from towpath.documents.document_tree import (
    Document,
    DocumentEntry,
    DoubtError,
    Mapping,
    Node,
    Scalar,
    Sequence,
    resolve_scalar,
)
from towpath.errors import DeclarationError, Fault, Place

_HINTS = {
    "mapping values are not allowed": "two colons in one line: write the value in quotes",
    "'\\t'": "indent with blanks, not with tabs",
    "cannot start any token": "write the value in quotes",
    "unexpected end of stream": "a quote is opened and not closed",
    "but got": "a bracket is opened and not closed, or the value needs quotes",
    "<block end>": "this line is not indented like those before it",
    "could not find expected ':'": "a key needs a colon and a blank behind it",
}


def compose_tree(text: str, shown: str) -> Document:
    """The tree of a text that UTF-8 can say, together with its faults."""
    try:
        return _compose_with(text, shown, pure=False)
    except YAMLError:
        # libyaml speaks 1.1 (`{run: shared.publish:to_folder}` is an error to it): the slower
        # reader in Python knows 1.2 and has the last word on what is wrong.
        pass
    try:
        return _compose_with(text, shown, pure=True)
    except YAMLError as error:
        return Document(Composer(shown).empty_scalar(), (syntax_fault(error, text, shown),))


def _compose_with(text: str, shown: str, pure: bool) -> Document:
    composer = Composer(shown)
    node = composer.document(YAML(typ="safe", pure=pure).parse(text))
    return Document(node, tuple(composer.faults))


def syntax_fault(error: YAMLError, text: str, shown: str) -> Fault:
    """What a YAML parser stumbled over, with its place and, where we know it, the cure."""
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        # The readers' own error for a control character has a position and no mark.
        line = text.count("\n", 0, getattr(error, "position", 0)) + 1
        what = "this is not YAML: the text holds a control character"
        remedy = "remove it, or write it as an escape in double quotes"
        return Fault(what, Place(shown, line), remedy)
    mark, problem = error.problem_mark, str(error.problem)
    if "end of stream" in problem or "<stream end>" in problem:
        mark = error.context_mark or mark  # not where the file ends, but what was left open
    hint = next((hint for part, hint in _HINTS.items() if part in problem), None)
    if "<block end>" in problem and text.split("\n")[mark.line][: mark.column].strip():
        hint = "write the value in quotes"
    return Fault(f"this is not YAML: {problem}", Place(shown, mark.line + 1, mark.column + 1), hint)


DEEPEST = 50  # no declaration nests so far; a hostile one would exhaust the stack


class Composer:
    """Builds one document's tree; ``faults`` fills up meanwhile."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []

    def empty_scalar(self) -> Scalar:
        """What stands for an empty or unreadable document."""
        return Scalar(None, Place(self.file, 1, 1))

    def document(self, stream: Iterator[events.Event]) -> Node:
        """The tree of the first document; another one behind it is a fault."""
        node: Node | None = None
        for event in stream:
            if not isinstance(event, events.DocumentStartEvent):
                continue
            if node is not None:
                hint = "one file holds one document"
                self._note_fault("a second document begins here", event, hint)
                break
            if event.version not in (None, (1, 2)):
                # The parsers differ about where a document with directives begins.
                place = Place(self.file, 1, 1)
                self.faults.append(Fault("only YAML 1.2 is read", place, "remove the %YAML line"))
            node = self._compose_node(next(stream), stream, 0)
        return self.empty_scalar() if node is None else node

    def _compose_node(
        self, event: events.Event, stream: Iterator[events.Event], depth: int
    ) -> Node:
        if depth > DEEPEST:
            problem = f"nested deeper than {DEEPEST}"
            raise MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        if isinstance(event, events.ScalarEvent):  # nine in ten are: an audit reads a million
            if event.anchor or event.tag:
                self._refuse_decorations(event)
            return self._compose_scalar(event)
        if isinstance(event, events.AliasEvent):
            # Aliases of aliases make a billion values of ten lines, the "billion laughs".
            self._note_fault(f"`*{event.anchor}` is an alias", event, "write the value out")
            return Scalar(None, self._place_of(event), sound=False)
        self._refuse_decorations(event)
        if isinstance(event, events.SequenceStartEvent):
            return self._compose_sequence(event, stream, depth)
        return self._compose_mapping(event, stream, depth)

    def _compose_scalar(self, event: events.ScalarEvent) -> Scalar:
        place = self._place_of(event)
        if not event.implicit[0]:  # quoted, a block, or tagged
            return self._compose_quoted(event, place)
        try:
            return Scalar(resolve_scalar(event.value), place)
        except DoubtError as doubt:
            self.faults.append(Fault(str(doubt), place, doubt.hint))
            return Scalar(event.value, place, sound=False)

    def _compose_quoted(self, event: events.ScalarEvent, place: Place) -> Scalar:
        text = event.value
        if not text.isascii():
            # JSON escapes a character beyond 16 bits as two halves, which YAML does not join.
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            if "\ufffd" in text and "\ufffd" not in event.value:  # one half can be written nowhere
                what = "this text holds half a character"
                self._note_fault(what, event, "write the character out")
                return Scalar(text, place, sound=False)
        return Scalar(text, place, sound=event.tag is None)

    def _compose_sequence(
        self, start: events.Event, stream: Iterator[events.Event], depth: int
    ) -> Sequence:
        items = []
        for event in stream:
            if isinstance(event, events.SequenceEndEvent):
                break
            items.append(self._compose_node(event, stream, depth + 1))
        return Sequence(tuple(items), self._place_of(start))

    def _compose_mapping(
        self, start: events.Event, stream: Iterator[events.Event], depth: int
    ) -> Mapping:
        entries: dict[str, DocumentEntry] = {}
        sound = True
        for event in stream:
            if isinstance(event, events.MappingEndEvent):
                break
            key = self._compose_node(event, stream, depth + 1)
            behind = next(stream)
            node = self._compose_node(behind, stream, depth + 1)
            self._refuse_glued_key(event, behind)
            entry = self._compose_entry(key, node, entries)
            if entry:
                entries[entry.key] = entry
            sound = sound and entry is not None
        return Mapping(tuple(entries.values()), self._place_of(start), sound)

    def _compose_entry(
        self, key: Node, node: Node, entries: dict[str, DocumentEntry]
    ) -> DocumentEntry | None:
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
        return DocumentEntry(key.value, node, key.place)

    def _refuse_glued_key(self, key: events.Event, behind: events.Event) -> None:
        # `{raw:x}` is a key `raw:x` without a value: never what was meant.
        if not (isinstance(key, events.ScalarEvent) and isinstance(behind, events.ScalarEvent)):
            return
        if key.implicit[0] and ":" in key.value and behind.implicit[0] and behind.value == "":
            name, _, rest = key.value.partition(":")
            hint = f"write `{name}: {rest}`, or write it in quotes"
            self._note_fault(f"`{key.value}` has no blank behind its colon", key, hint)

    def _refuse_decorations(self, event: events.Event) -> None:
        anchor, tag = getattr(event, "anchor", None), getattr(event, "tag", None)
        if anchor:
            self._note_fault(f"`&{anchor}` is an anchor", event, "write the value out")
        if tag:
            shown = str(tag).replace("tag:yaml.org,2002:", "!!")
            self._note_fault(f"`{shown}` is a tag", event, "write the value without it")

    def _note_fault(self, what: str, event: events.Event, hint: str) -> None:
        self.faults.append(Fault(what, self._place_of(event), hint))

    def _place_of(self, event: events.Event) -> Place:
        mark = event.start_mark
        return Place(self.file, mark.line + 1, mark.column + 1)


def edit_text(text: str, change: Callable[[MutableMapping[str, Any]], None], name: str) -> str:
    """A text after ``change`` was applied to its mapping; raises as ``edit_yaml`` does."""
    yaml = _round_trip(text)
    try:
        data = yaml.load(text)
    except YAMLError as error:
        raise DeclarationError(syntax_fault(error, text, name)) from None
    except (ValueError, TypeError) as error:  # ruamel makes a date of `0000-00-00`
        what = f"this cannot be changed without being written anew: {error}"
        raise DeclarationError(Fault(what, Place(name))) from None
    if data is None:
        data = yaml.map()
    if not isinstance(data, MutableMapping):
        raise DeclarationError(Fault("the file must hold a mapping", Place(name, 1)))
    change(data)
    out = io.StringIO()
    yaml.dump(data, out)
    # Of a file that holds nothing but comments and blank lines ruamel would lose all.
    is_bare = all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines())
    return (text if is_bare else "") + out.getvalue()


def _round_trip(text: str) -> YAML:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = 4096  # never fold a long line that somebody wrote
    mapping, sequence, offset = _find_indents(compose_tree(text, "").node)
    yaml.indent(mapping=mapping, sequence=sequence, offset=offset)
    return yaml


def _find_indents(node: Node) -> tuple[int, int, int]:
    """How the file is indented: mappings in mappings, lists, and the dash within that."""
    # ruamel writes a whole file with one indentation: the first that stands there is taken.
    nested = list(_nested_entries(node))
    depths = [(n.place.column - e.place.column, isinstance(n, Mapping)) for e, n in nested]
    # Behind a key that is written as `? key` a mapping begins where the key does.
    mapping = next((depth for depth, is_mapping in depths if is_mapping and depth > 0), 2)
    offset = next((depth for depth, is_mapping in depths if not is_mapping), 0)
    return mapping, offset + 2, offset


def _nested_entries(node: Node) -> Iterator[tuple[DocumentEntry, Node]]:
    """The entries whose mapping or list begins on a line of its own."""
    if isinstance(node, Sequence):
        for item in node.items:
            yield from _nested_entries(item)
    elif isinstance(node, Mapping):
        for entry in node.entries:
            if not isinstance(entry.node, Scalar) and entry.node.place.line > entry.place.line:
                yield entry, entry.node
            yield from _nested_entries(entry.node)
