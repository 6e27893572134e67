"""A Git repository as it stands: where it is, its head, what is not committed, who works in it."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from towpath.backends.git import git_command
from towpath.backends.git.git_command import GitOutcome
from towpath.backends.git.object_reader import ObjectReader
from towpath.errors import RegistryError, UserError
from towpath.scratch import take_lock

NAME_IT = "type: git config --global user.name 'Your Name'"
MAIL_IT = "type: git config --global user.email you@example.org"
_PATIENCE = 300.0  # seconds: the slowest that a lock is held for is a push of many tags
# Where Git reads names from lines: it cuts one at a line feed, and takes what ends in a carriage
# return for the name without that.
CUTS_LINE = re.compile(r"[\0\n\r]")
_WHOLE_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SETTLED = 0.1  # seconds after which a second change cannot bear the same time as the first
_REF_FILES = ("packed-refs", "HEAD", "config", "shallow", "FETCH_HEAD")
_TRACES = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_START": "bisect",
}


class Identity(Struct, frozen=True):
    name: str
    email: str

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


class WorkTreeState(Struct, frozen=True):
    """What a repository stands on, and which files are not committed (paths from its root).
    ``commit`` is None before the first commit; ``branch`` is None where the head is detached.
    ``submodules`` are those that are not as this commit pins them, with what differs, in words."""

    commit: str | None
    branch: str | None
    changed: tuple[str, ...]
    submodules: Mapping[str, str] = field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Repository:
    """A repository on this machine. ``root`` is the top of the work tree (of a bare repository,
    itself); ``common`` is the Git folder that all its work trees share. Without ``asks_remotes``
    nobody asks a remote which branch is main, for who cannot wait."""

    root: Path
    common: Path
    bare: bool = False
    asks_remotes: bool = True
    # What Git printed, by the words of `recall_output`, and the bytes of small objects that
    # `refs.read_contents` gave. Neither can be stale: their names are whole hashes, whose history
    # nothing changes (of a shallow clone, which a fetch may deepen, no output is kept).
    answers: dict[tuple[str, ...], str] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    contents: dict[str, bytes] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    # Gives the bytes of those that were not given yet.
    object_reader: ObjectReader = dataclasses.field(
        default_factory=ObjectReader, init=False, repr=False, compare=False
    )
    # Who signed a commit, by the text of the allowed signers: Git runs `ssh-keygen` for each, and
    # one approval asks thirty times. Both are fixed, and dates are held against the commit's own.
    signatures: dict[bytes, dict[str, Any]] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    # What was last read of each ref, by its name: it counts for as long as the ref holds the same
    # object.
    known_refs: dict[str, Any] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    # Of what refs add up to, by a name: these refs, and what they came to.
    known_folds: dict[str, tuple[Any, Any]] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    # What was last read of branches, by the question, with the commits that they were read up to,
    # the last one behind: of a branch that went on, only what is new is read.
    known_lines: dict[tuple[str, ...], tuple[tuple[str, Any], ...]] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def find_repository(cls, path: Path) -> Repository | None:
        """The repository that ``path`` lies in, or None. Raises ``RegistryError`` for one that Git
        refuses to open (another owner, a broken folder): to go on without would only hide it."""
        questions = ("--git-common-dir", "--is-inside-work-tree", "--show-toplevel")
        answer = git_command.attempt_git(path, "rev-parse", "--path-format=absolute", *questions)
        return _parse_opened(path, answer)

    @classmethod
    def open(cls, path: Path) -> Repository:
        repository = cls.find_repository(path)
        if repository is None:
            raise UserError(f"{path} is not in a Git repository", hint="type: git init")
        return repository

    def call(self, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        return self.ask(*words, stdin=stdin, env=env).text

    def recall_output(self, *words: str, about: Iterable[str]) -> str:
        """The same, asked once where nothing can change it: ``about`` are whole hashes."""
        # One promotion asks hundreds of times, and of ten questions nine were asked before.
        if not self.is_lasting(*about):
            return self.call(*words)
        if words not in self.answers:
            self.answers[words] = self.call(*words)
        return self.answers[words]

    def is_lasting(self, *names: str) -> bool:
        # Where the history was cut off, a fetch may make it longer meanwhile.
        return all(map(is_whole_hash, names)) and not self.is_shallow()

    def ask(
        self, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> GitOutcome:
        outcome = self.attempt_git(*words, stdin=stdin, env=env)
        return git_command.require_success(outcome, words[0])

    def attempt_git(
        self,
        *words: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        alone: bool = False,
        silence: float | None = None,
    ) -> GitOutcome:
        """What Git answers, whatever it is; ``alone`` and ``silence`` as in ``git_command``."""
        variables = {**(env or {}), **self._name_folder()}
        return git_command.attempt_git(
            self.root, *words, stdin=stdin, env=variables, alone=alone, silence=silence
        )

    def begin_git(self, *words: str) -> subprocess.Popen[bytes]:
        """A call of Git that goes on, as in ``git_command``."""
        return git_command.begin_git(self.root, *words, env=self._name_folder())

    def _name_folder(self) -> Mapping[str, str]:
        # A bare repository is named outright, for Git does not look for one where
        # `safe.bareRepository` is `explicit`.
        return {"GIT_DIR": str(self.common)} if self.bare else {}

    def head(self) -> str | None:
        return self.commit("HEAD")

    def commit(self, name: str) -> str | None:
        parsed = self.attempt_git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return parsed.text or None

    def state(self, ignore: Callable[[str], bool] | None = None) -> WorkTreeState:
        """Head, branch and uncommitted files; ``ignore`` drops paths by their name."""
        listed = self.call(
            "status", "--porcelain=v2", "--branch", "--untracked-files=all", "--no-renames", "-z",
            "--ignore-submodules=none",
        )  # fmt: skip
        lines = [line for line in listed.split("\0") if line]
        notes = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
        # The fields before the path are fixed by the kind of an entry.
        fields = {"1": 8, "u": 10}
        entries = {
            line.split(" ", fields.get(line[0], 1))[-1]: line for line in lines if line[0] != "#"
        }
        parted = {
            path: why for path, line in entries.items() if (why := _submodule_difference(line))
        }
        changed = {*(entries.keys() - parted.keys()), *self._unwatched_changes()}
        return WorkTreeState(
            commit=None if notes["branch.oid"] == "(initial)" else notes["branch.oid"],
            branch=None if notes["branch.head"] == "(detached)" else notes["branch.head"],
            changed=tuple(sorted(path for path in changed if not (ignore and ignore(path)))),
            submodules=parted,
        )

    def _unwatched_changes(self) -> Iterator[str]:
        """Changed files that `status` keeps silent about, since somebody told Git not to look
        (``update-index --assume-unchanged`` or ``--skip-worktree``)."""
        rows = self.call("ls-files", "-v", "-s", "-z").split("\0")
        quiet: dict[str, str] = {}
        for row in (row for row in rows if row and (row[0].islower() or row[0] == "S")):
            fields, _, path = row.partition("\t")
            quiet[path] = fields.split(" ")[2]
        # In a sparse checkout those outside of the cone are not there.
        paths = [path for path in quiet if (self.root / path).is_file()]
        # It also takes what begins with a quotation mark for a name that is quoted.
        lines = [path for path in paths if path[0] != '"' and not CUTS_LINE.search(path)]
        path_lines = "".join(f"{path}\n" for path in lines).encode("utf-8", "surrogateescape")
        hashed = self.call("hash-object", "--stdin-paths", stdin=path_lines) if lines else ""
        blobs = dict(zip(lines, hashed.split(), strict=True))
        blobs |= {p: self.call("hash-object", "--", p) for p in paths if p not in blobs}
        yield from (path for path, blob in blobs.items() if blob != quiet[path])

    def read_identity(self) -> Identity:
        """Who commits here; ``UserError`` with the commands to type where nobody was named."""
        # Without useConfigOnly Git makes up an address from the machine's name.
        words = ("-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
        identity_line = self.attempt_git(*words)
        if identity_line.code:
            raise UserError("Git does not know who you are", hint=f"{NAME_IT}; {MAIL_IT}")
        name, _, rest = identity_line.text.partition(" <")
        return Identity(name, rest.partition(">")[0])

    def is_shallow(self) -> bool:
        return (self.common / "shallow").exists()

    def main_work_tree(self) -> Path | None:
        """The work tree that others may be linked to; None of a bare repository. ``UserError``
        where the repository does not say where it is (``git clone --separate-git-dir``)."""
        if self.bare or self.common == self.root / ".git":
            return None if self.bare else self.root
        if self.call("rev-parse", "--path-format=absolute", "--git-dir") == str(self.common):
            return self.root
        git_folder = f"--git-dir={self.common}"
        if self.attempt_git(git_folder, "rev-parse", "--is-bare-repository").text == "true":
            return None
        if self.common.name == ".git":
            return self.common.parent
        if named := self.attempt_git(git_folder, "config", "--get", "core.worktree").text:
            return (self.common / named).resolve()
        what = f"{self.common} does not say where its main work tree is, which holds the stages"
        hint = f"git --git-dir='{self.common}' config core.worktree <path of the main work tree>"
        raise UserError(what, hint=hint)

    def read_setting(self, key: str) -> str | None:
        return self.attempt_git("config", "--get", key).text or None


@contextmanager
def hold_lock(repository: Repository, name: str, patience: float = _PATIENCE) -> Iterator[None]:
    """Hold the lock ``name`` of a repository and all its work trees; wait ``patience`` seconds."""
    path = repository.common / "towpath" / f"{name}.lock"
    try:
        path.parent.mkdir(exist_ok=True)
        opened = path.open("a")
    except OSError as refused:
        raise RegistryError(f"{path.parent} cannot be written: {refused.strerror}") from refused
    with opened as held:  # the kernel frees it when its holder dies
        if not take_lock(held, patience):
            what = f"another towpath has held {path} for {patience:.0f} s"
            raise RegistryError(what, hint="wait for it, or end it")
        yield


def find_unfinished_work(repository: Repository) -> str | None:
    """What a person began in the work tree and did not end: ``merge``, ``rebase`` and so on."""
    words = [word for name in _TRACES for word in ("--git-path", name)]
    answer = repository.attempt_git("rev-parse", *words)
    paths = [] if answer.code else git_command.split_lines(answer.text)
    traces = zip(paths, _TRACES.values(), strict=False)
    return next((work for path, work in traces if (repository.root / path).exists()), None)


def read_ref_state(repository: Repository) -> tuple[object, ...] | None:
    """The times of all that Git writes when a ref is made, moved or removed, without calling Git:
    what is known of refs holds as long as they do. None while the last change is so young that the
    next might look the same."""
    # Git writes a ref beside its place and renames it there: the folder's time tells of each.
    paths = [repository.common / name for name in _REF_FILES]
    paths += (Path(folder) for folder, _, _ in os.walk(repository.common / "refs"))
    paths += (repository.common / "reftable").glob("*")
    state = tuple((str(path), *_time_and_size(path)) for path in paths)
    newest = max(moment for _, moment, _ in state)
    return None if newest > (time.time() - _SETTLED) * 1e9 else state


def _time_and_size(path: Path) -> tuple[int, int]:
    try:
        facts = path.stat()
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size


def is_whole_hash(name: str) -> bool:
    """Whether a name is an object's whole hash: it stands for the same object for ever."""
    return _WHOLE_HASH.fullmatch(name) is not None


def _parse_opened(path: Path, asked: GitOutcome) -> Repository | None:
    if "not a git repository" in asked.err:
        return None
    if not path.is_dir():
        raise UserError(f"there is no folder {path}")
    lines = asked.text.split("\n")
    if len(lines) == 3:
        return Repository(Path(lines[2]), Path(lines[0]))
    if len(lines) == 2 and lines[1] == "false":
        return Repository(Path(lines[0]), Path(lines[0]), bare=True)
    hint = f"git config --global --add safe.directory '{path}'" if "dubious" in asked.err else None
    raise RegistryError(f"Git does not open {path}: {asked.last_complaint}", hint=hint)


def _submodule_difference(line: str) -> str:
    """In what a submodule is not as its gitlink says, by an entry of ``status --porcelain=v2``;
    empty for a file, and for a gitlink that was changed itself."""
    letters = line.split(" ", 3)[2] if line[0] in "1u" else "N..."
    words = {
        "C": "its commit is not the one that is committed",
        "M": "files in it are changed",
        "U": "files in it are not committed",
    }
    return ", ".join(words[letter] for letter in letters if letter in words)
