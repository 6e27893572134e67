"""Names that point into the history: listed in one call, changed all together or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from towpath.backends.git import git_command, signatures
from towpath.backends.git.repository import CUTS_LINE, Repository, is_whole_hash
from towpath.config.foreign_values import clamp_second
from towpath.errors import RegistryError
from towpath.plain_data import group_by_key

FIELDS = ("refname", "objectname", "objecttype", "object", "taggername", "taggerdate:unix")
# What is kept in memory are rules and records, of some kilobytes each: no tables, no models.
KEPT_BYTES = 1 << 16
_FEW = 100  # names that Git is asked for one by one: of more, all are listed
FORMAT = "".join(f"%({field})%00" for field in (*FIELDS, "contents"))


class Ref(NamedTuple):
    """A ref and, where it holds an annotated tag, what the tag says. ``target`` is the object that
    a tag points at (of other refs, their own object); ``time`` is in seconds since 1970, 0 without
    a tagger. ``signature`` is what stands behind the message of a signed tag: whose it is, and
    whether it holds, is not said. ``lost`` says that its object is not in this clone, or is broken:
    it holds a name and tells nothing."""

    name: str
    object: str
    target: str
    annotated: bool
    tagger: str
    time: int
    message: str
    signature: str = ""
    lost: bool = False


def list_refs(repository: Repository, *patterns: str) -> tuple[Ref, ...]:
    """Every ref that a pattern covers (``refs/tags``, ``refs/tags/abalone@*``): in one call, or,
    where most were read before, in two that open new objects alone."""
    if repository.known_refs:
        objects = list_ref_objects(repository, *patterns)
        held = repository.known_refs
        new = [
            (name, object_)
            for name, object_ in objects.items()
            if name not in held or held[name].object != object_
        ]
        if len(new) <= _FEW:
            return _list_known(repository, objects, new)
    listing = repository.attempt_git("for-each-ref", f"--format={FORMAT}", *patterns)
    if listing.code == 0:
        listed = tuple(_parse_refs(listing.text))
        repository.known_refs.update({ref.name: ref for ref in listed})
        return listed
    # One object that is lost keeps Git from telling any ref: the others are told all the same.
    return tuple(_listed_apart(repository, list(list_ref_objects(repository, *patterns).items())))


def _list_known(
    repository: Repository, objects: Mapping[str, str], new: list[tuple[str, str]]
) -> tuple[Ref, ...]:
    fresh = {ref.name: ref for ref in _listed_apart(repository, new)}
    held = repository.known_refs
    held.update({name: ref for name, ref in fresh.items() if not ref.lost})
    deleted = {name for name, _ in new} - fresh.keys()  # meanwhile
    return tuple(fresh.get(name) or held[name] for name in objects if name not in deleted)


def _listed_apart(repository: Repository, pairs: list[tuple[str, str]]) -> Iterator[Ref]:
    """The refs of these names, halved until those are found whose objects are lost."""
    if not pairs:
        return
    names = {name for name, _ in pairs}
    listing = repository.attempt_git("for-each-ref", f"--format={FORMAT}", *sorted(names))
    if listing.code == 0:
        # A name is a pattern, which covers what lies below it, too.
        yield from (ref for ref in _parse_refs(listing.text) if ref.name in names)
    elif len(pairs) == 1:
        [(name, object_)] = pairs
        yield Ref(name, object_, object_, False, "", 0, "", lost=True)
    else:
        half = len(pairs) // 2
        yield from _listed_apart(repository, pairs[:half])
        yield from _listed_apart(repository, pairs[half:])


def list_ref_names(repository: Repository, *patterns: str) -> tuple[str, ...]:
    """The names alone, which costs no look at any object."""
    listed = repository.call("for-each-ref", "--format=%(refname)", *patterns)
    return tuple(git_command.split_lines(listed))


def list_ref_objects(repository: Repository, *patterns: str) -> dict[str, str]:
    """Ref by name with the object it holds: what two repositories must agree upon."""
    rows = repository.call("for-each-ref", "--format=%(refname) %(objectname)", *patterns)
    pairs = (row.rpartition(" ") for row in git_command.split_lines(rows))
    return {name: object_ for name, _, object_ in pairs}


def change_refs(
    repository: Repository,
    create: Mapping[str, str] | None = None,
    delete: Iterable[str] = (),
) -> bool:
    """Create and delete refs, which may be gone, in one transaction; False where a ref to be
    created is there already. Raises ``RegistryError`` where Git refuses for another reason."""
    new = dict(create or {})
    lines = [f"create {name} {value}\n" for name, value in new.items()]
    lines += [f"delete {name}\n" for name in list_ref_names(repository, *delete)] if delete else []
    instructions = "".join(lines).encode("utf-8", "surrogateescape")
    update = repository.attempt_git("update-ref", "--stdin", stdin=instructions)
    if not update.code:
        return True
    if new and list_ref_names(repository, *new):
        return False
    raise RegistryError(f"git update-ref: {update.last_complaint}")


def point_ref(repository: Repository, name: str, target: str, expected: str | None = None) -> None:
    """Let a ref hold an object, if it holds what is ``expected`` (zeroes: nothing)."""
    repository.call("update-ref", name, target, *([expected] if expected else []))


def read_contents(repository: Repository, names: Iterable[str]) -> dict[str, bytes]:
    """The bytes of objects (``<commit>:<path>``), in one call; what is not there is left out."""
    object_names, kept = list(dict.fromkeys(names)), repository.contents
    contents_by_name = {name: kept[name] for name in object_names if name in kept}
    if unread := [name for name in object_names if name not in contents_by_name]:
        read = _ask_contents(repository, unread)
        # One promotion reads the same rules and records hundreds of times.
        lasting = (name for name in read if is_whole_hash(name.partition(":")[0]))
        kept.update({name: read[name] for name in lasting if len(read[name]) <= KEPT_BYTES})
        contents_by_name |= read
    return {name: contents_by_name[name] for name in object_names if name in contents_by_name}


def read_content(repository: Repository, commit: str, path: str) -> bytes | None:
    return read_contents(repository, [f"{commit}:{path}"]).get(f"{commit}:{path}")


def find_objects(repository: Repository, names: Iterable[str]) -> dict[str, str]:
    """The objects by names (``<commit>:<path>``), in one call; what is not there is left out."""
    line_by_name = _name_by_lines(repository, list(dict.fromkeys(names)))
    if not line_by_name:
        return {}
    listed = repository.call(
        "cat-file", "--batch-check=%(objectname)", stdin=_join_lines(line_by_name.values())
    )
    rows = zip(line_by_name, git_command.split_lines(listed), strict=True)
    return {name: object_ for name, object_ in rows if is_whole_hash(object_)}


def has_same_files(repository: Repository, one: str, other: str, paths: Iterable[str]) -> bool:
    names = [f"{commit}:{path}" for path in paths for commit in (one, other)]
    contents = read_contents(repository, names)
    held = [contents.get(name) for name in names]
    return held[::2] == held[1::2]


def _parse_refs(found: str) -> Iterator[Ref]:
    width = len(FIELDS) + 1
    cells = found.split("\0")
    for start in range(0, len(cells) - width + 1, width):
        name, object_, kind, target, tagger, time, message = cells[start : start + width]
        annotated = kind == "tag"
        text = signatures.strip_signature(message) if annotated else message
        yield Ref(
            name=name.lstrip("\n"),
            object=object_,
            target=target if annotated else object_,
            annotated=annotated,
            tagger=tagger,
            time=clamp_second(time),
            message=text,
            signature=message[len(text) :],
        )


def _ask_contents(repository: Repository, names: Sequence[str]) -> dict[str, bytes]:
    """The bytes of objects as Git gives them, without those that are not there."""
    line_by_name = _name_by_lines(repository, names)
    lines = list(dict.fromkeys(line_by_name.values()))
    if not lines:
        return {}
    begin = partial(repository.begin_git, "cat-file", "--batch")
    ask = partial(repository.object_reader.read_objects, repository.common, begin, lines)
    contents = ask()
    if contents is None:  # somebody may have ended it
        contents = ask()
    if contents is None:  # a broken object ends each: Git says which
        repository.ask("cat-file", "--batch", stdin=_join_lines(lines))
        raise RegistryError("git cat-file: it ended before it had answered")
    return {name: contents[line] for name, line in line_by_name.items() if line in contents}


def _name_by_lines(repository: Repository, names: Sequence[str]) -> dict[str, str]:
    """By each name how Git is asked for it in a line. Anybody may commit a path with a line feed:
    of two lines, the second's answer would be taken for the next name's."""
    line_by_name = {name: name for name in names if not CUTS_LINE.search(name)}
    cut_names = (name.partition(":") for name in names if name not in line_by_name)
    for commit, paths in group_by_key((commit, path) for commit, _, path in cut_names).items():
        objects = {} if CUTS_LINE.search(commit) else _list_objects(repository, commit)
        line_by_name |= {f"{commit}:{path}": objects[path] for path in paths if path in objects}
    return line_by_name


def _list_objects(repository: Repository, commit: str) -> dict[str, str]:
    """All that a commit holds, by path, in one call: a path may be longer than any word."""
    words = ("ls-tree", "-r", "-t", "-z", "--full-tree", "--end-of-options", commit)
    rows = (row.partition("\t") for row in repository.attempt_git(*words).text.split("\0"))
    return {path: head.split(" ")[2] for head, _, path in rows if path}


def _join_lines(names: Iterable[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
