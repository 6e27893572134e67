"""Whose a model is: said by a file on the main branch, never by where files lay once.

Where main holds one project, every model is that project's. Where it holds several, a model is of
the project that ``registry/models/<model>/project.yaml`` names; the first promotion of a model
writes it, and a model without one is nobody's until a project claims it. In a registry that
several repositories share, ``owners`` in its ``towpath.yaml`` says who may register a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from towpath import documents
from towpath.backends.git import Repository, commit_history, main_branch, refs, remotes
from towpath.errors import DeclarationError, Fault, Place, RegistryError, UsageError
from towpath.registry import policy_at_commit, registry_state, version_reference

if TYPE_CHECKING:
    from towpath.registry.registry_state import Model
    from towpath.registry.version_record import VersionRecord

ROOT = "."
_CLAIM = re.compile(r"registry/models/(?P<model>[^/]+)/project\.yaml")
CLAIMS = "registry/models/*/project.yaml"
"""The files that say whose a model is, as a pattern of Git's."""
_TEMPLATE = "{{"  # in a path: cookiecutter's, so what lies there is a template and no project


def _first_changes(
    changes: Iterable[commit_history.MainChange], paths: Sequence[str]
) -> dict[str, tuple[int, commit_history.MainChange]]:
    """The change that brought each path, and which in the row it is."""
    came: dict[str, tuple[int, commit_history.MainChange]] = {}
    for place, change in enumerate(changes):
        for path in paths:
            if any(file == path or file.startswith(f"{path}/") for file in change.files):
                came.setdefault(path, (place, change))
    return came


@dataclass(frozen=True)
class Owners:
    """Whose each model is, as one commit of the main branch says.

    ``projects`` are the folders of the projects, from the Git root (``""`` for the root);
    ``claims`` holds what each model's own file says: a folder, or the fault of a file that
    cannot be understood. ``source`` is the repository and the commit where it was read.
    """

    projects: tuple[str, ...] = ()
    claims: Mapping[str, str | Fault] = field(default_factory=dict)
    source: tuple[Repository, str] | None = field(default=None, compare=False, repr=False)

    def project_of(self, model: str) -> str | None:
        """The folder of the project that a model belongs to; None where it is nobody's."""
        claim = self.claims.get(model)
        if claim is None:
            return self.projects[0] if len(self.projects) == 1 else None
        return claim if isinstance(claim, str) and claim in self.projects else None

    def owns_model(self, folder: str, model: str) -> bool:
        return not self.projects or self.project_of(model) == folder

    def is_unclaimed(self, model: str) -> bool:
        return len(self.projects) > 1 and model not in self.claims

    def why_nobodys(self, model: str) -> Fault:
        """What is wrong with a model that is nobody's, and how a project comes by it."""
        claim, place = self.claims.get(model), Place(claim_path(model))
        claiming = f"in the project that it is of: towpath claim {model}"
        hint = f"{claiming}; then commit {claim_path(model)}, and merge that into main"
        if claim is None and (explained := self._explain_owner(model)):
            return Fault(explained[0], place, explained[1])
        if isinstance(claim, Fault):
            return Fault(claim.what, claim.place, hint)
        if claim is None:
            names = ", ".join(f"`{show_project_folder(folder)}`" for folder in self.projects)
            what = f"nothing on main says whose `{model}` is, and main holds the projects {names}"
            return Fault(what, place, hint)
        claimed = f"`{model}` is said to be of the project in `{show_project_folder(claim)}`"
        return Fault(f"{claimed}, and main has none there", place, hint)

    def _explain_owner(self, model: str) -> tuple[str, str] | None:
        """Of a model that one project promoted alone, until others came: whose it was, and who
        brought those; None where main's past does not tell it."""
        if self.source is None:
            return None
        declarations = [policy_at_commit.declaration_path(folder) for folder in self.projects]
        kept = [f"registry/models/{model}", f"registry/evidence/{model}"]
        paths = [*declarations, *kept]
        pathspecs = (f":(top,literal){path}" for path in paths)
        changes = commit_history.read_changes(*self.source, "--diff-filter=A", "--", *pathspecs)
        came = _first_changes(changes, paths)
        first = min((came[path][0] for path in kept if path in came), default=None)
        if first is None or not came.keys() >= {*declarations}:
            return None
        before = [path for path in declarations if came[path][0] < first]
        if len(before) != 1:
            return None
        mine = before[0].rpartition("/")[0]
        later = [
            f"`{path}` ({came[path][1].commit[:7]} by {came[path][1].author})"
            for path in declarations
            if path != before[0]
        ]
        once = f"it was that of the project in `{show_project_folder(mine)}`, the only one until"
        what = f"nothing on main says whose `{model}` is: {once} {', '.join(later)} came"
        inside = f"-C {mine} " if mine else ""
        return what, (
            f"where what came is no project of yours, take it away by a commit on main; else "
            f"towpath {inside}claim {model}, commit {claim_path(model)}, and merge that into main"
        )


def show_project_folder(folder: str) -> str:
    return folder or ROOT


def claim_path(model: str) -> str:
    return f"registry/models/{model}/project.yaml"


def claimed_model(path: str) -> str | None:
    """The model whose project a file names; None for another file."""
    named = _CLAIM.fullmatch(path)
    return named["model"] if named else None


def write_claim(folder: str) -> bytes:
    return documents.dump_yaml({"project": show_project_folder(folder)}).encode()


def read_claim(model: str, text: str) -> str | Fault:
    path = claim_path(model)
    document = documents.parse_yaml(text, path)
    data = documents.plain_data(document.node)
    named = data.get("project") if isinstance(data, dict) else None
    if document.faults or not isinstance(named, str) or set(data) != {"project"}:
        return Fault("this does not say `project: <folder>`, and nothing else", Place(path))
    return "" if named.strip("/") == ROOT else named.strip("/")


def read_owners(repository: Repository, commit: str) -> Owners:
    """Whose each model is by ``commit``, read in two calls of Git."""
    paths = commit_history.list_paths(repository, commit)
    declared = [path for path in paths if _is_declaration(path)]
    claimed = {path: model for path in paths if (model := claimed_model(path))}
    several = len(declared) > 1
    names = [f"{commit}:{path}" for path in [*claimed, *(declared if several else [])]]
    contents = refs.read_contents(repository, names) if names else {}
    texts = {name: content.decode("utf-8", "replace") for name, content in contents.items()}
    # What is listed and holds no text (a submodule of that name) declares nothing. Whose registry
    # is a shared one has no model in this repository's.
    kept_at = {
        p: documents.find_entry(texts.get(f"{commit}:{p}", ""), "registry") for p in declared
    }
    own = [path for path in declared if not several or kept_at[path] in (None, ROOT)]
    claims = {m: read_claim(m, texts.get(f"{commit}:{p}", "")) for p, m in claimed.items()}
    folders = tuple(sorted(path.rpartition("/")[0] for path in own))
    return Owners(folders, claims, (repository, commit))


def find_place_then(place: str, name: str | None, names: Mapping[str, str | None]) -> str | None:
    """Where a project lay then that is in ``place`` now and is called ``name``, of the projects of
    an older commit, each by its place; None where that cannot be told."""
    # It may have been moved since: where it lay elsewhere and was the only one, it is that one;
    # among others it is known by its name.
    if place in names or len(names) == 1:
        return place if place in names else next(iter(names))
    alike = [other for other, called in names.items() if called == name]
    return alike[0] if name and len(alike) == 1 else None


def folder_at(repository: Repository, commit: str, folder: str, name: str | None) -> str:
    """Where the project that is in ``folder`` now lay in an older commit; ``folder`` where that
    cannot be told."""
    projects = read_owners(repository, commit).projects
    paths = {
        f"{commit}:{policy_at_commit.declaration_path(project)}": project for project in projects
    }
    texts = refs.read_contents(repository, paths)
    names = {
        project: documents.find_entry(texts.get(path, b"").decode("utf-8", "replace"), "name")
        for path, project in paths.items()
    }
    folder_then = find_place_then(folder, name, names)
    return folder if folder_then is None else folder_then


def folder_of_pipeline(repository: Repository, record: VersionRecord, folder: str) -> str:
    """Where the project lay that made a version, in the version's code: it may have moved since.
    ``folder`` is where it is now, for a record whose own path leaves it open."""
    commit = record.code.commit
    if repository.commit(commit) is None:
        return folder
    pipeline = f"flows/{record.pipeline}/pipeline.yaml"
    paths = set(commit_history.list_paths(repository, commit))
    folders = [path.rpartition("/")[0] for path in paths if _is_declaration(path)]
    makers = [project for project in folders if _path_inside(project, pipeline) in paths]
    around = [maker for maker in makers if record.path.startswith(_path_inside(maker, ""))]
    return max(around, key=len, default=folder)  # the innermost: projects may be nested


def _path_inside(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder else path


def _is_declaration(path: str) -> bool:
    return path.rpartition("/")[2] == policy_at_commit.FILE and _TEMPLATE not in path


def claim_model(repository: Repository | None, folder: str, model: str) -> str:
    """Write into the work tree that a model is of the project in ``folder``; the file's path."""
    version_reference.check_name(model)
    if repository is None or repository.bare:
        raise UsageError("there is no work tree of a Git repository here", hint="git init")
    registry_state.known_model(repository, model)
    path = repository.root / claim_path(model)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(write_claim(folder))
    except OSError as refused:
        what = f"{claim_path(model)} cannot be written: {refused.strerror}"
        raise RegistryError(what) from refused
    return claim_path(model)


def refuse_other(owners: Owners, folder: str, model: str) -> None:
    """Raise ``UsageError`` where a model is another project's, or nobody's that was claimed."""
    if owners.owns_model(folder, model):
        return
    owner = owners.project_of(model)
    if owner is None:
        raise UsageError(owners.why_nobodys(model))
    theirs, mine = show_project_folder(owner), show_project_folder(folder)
    what = f"`{model}` is of the project in `{theirs}`, and this is `{mine}`"
    raise UsageError(Fault(what, Place(claim_path(model)), hint=f"towpath -C {theirs} ..."))


def refuse_foreign_model(repository: Repository, model: Model, draft: VersionRecord) -> None:
    """Raise ``UsageError`` where another repository's code makes the model of that name."""
    # A name belongs to the repository that registered it last, or to those that ``owners`` in the
    # registry's ``towpath.yaml`` names. In a project's own registry every name is its own.
    mine = draft.code.repository
    if mine is None:
        return
    owners: tuple[str, ...] = ()
    main = main_branch.seen_main_commit(repository)
    if main and refs.read_content(repository, main, policy_at_commit.FILE) is not None:
        try:
            policy = policy_at_commit.read_project_at(repository, main)
        except DeclarationError as wrong:
            faults = (Fault(f"the shared registry's {fault}") for fault in wrong.faults)
            raise RegistryError(*faults) from wrong
        owners = tuple(policy.owners.get(draft.model, ()))
    if not owners:
        if not model.versions:
            return
        theirs = model.versions[-1].summary.get("repository")
        owners = (theirs if isinstance(theirs, str) else "the registry itself",)
    if not any(remotes.is_same_repository(owner, mine) for owner in owners):
        by = ", ".join(owners)
        what = f"`{draft.model}` in this registry is made by {by}, not by this repository"
        listed = ", ".join(owner for owner in (*owners, mine) if " " not in owner)
        other = "take another name, or write into towpath.yaml of the registry"
        raise UsageError(what, hint=f"{other}: owners: {{{draft.model}: [{listed}]}}")
