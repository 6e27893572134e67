"""A Git repository as it stands: where it is, its head, what is not committed, who works in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from towpath.errors import RegistryError, UserError
from towpath.git import command
from towpath.git.command import Outcome

NAME_IT = "type: git config --global user.name 'Your Name'"
MAIL_IT = "type: git config --global user.email you@example.org"


@dataclass(frozen=True)
class Identity:
    """Who commits and tags."""

    name: str
    email: str

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


@dataclass(frozen=True)
class State:
    """What a repository stands on, and which files are not committed (paths from its root).

    ``commit`` is None before the first commit; ``branch`` is None where the head is detached.
    """

    commit: str | None
    branch: str | None
    changed: tuple[str, ...]


@dataclass(frozen=True)
class Repository:
    """A repository on this machine.

    ``root`` is the top of the work tree (of a bare repository, itself); ``common`` is the Git
    folder that all its work trees share.
    """

    root: Path
    common: Path
    bare: bool = False

    @classmethod
    def find(cls, path: Path) -> Repository | None:
        """The repository that ``path`` lies in, or None.

        Raises ``RegistryError`` where there is one that Git refuses to open (another owner, a
        broken folder), since going on as if there were none would only hide it.
        """
        questions = ("--git-common-dir", "--is-inside-work-tree", "--show-toplevel")
        asked = command.attempt(path, "rev-parse", "--path-format=absolute", *questions)
        return _opened(path, asked)

    @classmethod
    def open(cls, path: Path) -> Repository:
        """The repository that ``path`` lies in; ``UserError`` where it lies in none."""
        found = cls.find(path)
        if found is None:
            raise UserError(f"{path} is not in a Git repository", hint="type: git init")
        return found

    def call(self, *words: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """What Git prints; ``RegistryError`` where it fails."""
        return command.call(self.root, *words, stdin=stdin, env=env).text

    def attempt(
        self,
        *words: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        alone: bool = False,
        silence: float | None = None,
    ) -> Outcome:
        """What Git answers, whatever it is; ``alone`` and ``silence`` as in ``command``."""
        return command.attempt(
            self.root, *words, stdin=stdin, env=env, alone=alone, silence=silence
        )

    def head(self) -> str | None:
        """The commit that is checked out; None before the first one."""
        return self.commit("HEAD")

    def commit(self, name: str) -> str | None:
        """The commit that a name, a ref or an expression stands for; None where there is none."""
        found = self.attempt("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        return found.text or None

    def state(self, ignore: Callable[[str], bool] | None = None) -> State:
        """Head, branch and uncommitted files in one call; ``ignore`` drops paths by their name."""
        listed = self.call(
            "status", "--porcelain=v2", "--branch", "--untracked-files=all", "--no-renames", "-z"
        )
        lines = [line for line in listed.split("\0") if line]
        notes = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
        paths = (_path(line) for line in lines if not line.startswith("# "))
        return State(
            commit=None if notes["branch.oid"] == "(initial)" else notes["branch.oid"],
            branch=None if notes["branch.head"] == "(detached)" else notes["branch.head"],
            changed=tuple(sorted(path for path in paths if not (ignore and ignore(path)))),
        )

    def identity(self) -> Identity:
        """Who commits here; ``UserError`` with the commands to type where nobody was named."""
        # Without useConfigOnly Git makes up an address from the machine's name.
        told = self.attempt("-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
        if told.code:
            raise UserError("Git does not know who you are", hint=f"{NAME_IT}; {MAIL_IT}")
        name, _, rest = told.text.partition(" <")
        return Identity(name, rest.partition(">")[0])

    def is_shallow(self) -> bool:
        """Whether the history was cut off when it was cloned."""
        return (self.common / "shallow").exists()

    def setting(self, key: str) -> str | None:
        """A value of Git's configuration, None where it is not set."""
        return self.attempt("config", "--get", key).text or None


def _opened(path: Path, asked: Outcome) -> Repository | None:
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
    raise RegistryError(f"Git does not open {path}: {asked.complaint}", hint=hint)


def _path(line: str) -> str:
    """The path in an entry of ``status --porcelain=v2``: the fields before it are fixed by kind."""
    fields = {"1": 8, "u": 10}.get(line[0], 1)
    return line.split(" ", fields)[-1]
