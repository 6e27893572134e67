"""A registry that several projects share, by its Git URL: the clone in which one sees it."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path, PurePosixPath

from towpath.backends.git import Repository, branches, commit_history, main_branch, refs, remotes
from towpath.backends.git.remotes import ORIGIN
from towpath.credentials import hide_credentials
from towpath.errors import RegistryError
from towpath.registry import registry_publication
from towpath.registry.version_record import VersionRecord

# Seconds for which a view of the registry is good enough, and a failed fetch is not repeated: each
# command would else wait for a server that is down.
FRESH = 600.0


def registry_address(declared: str, root: Path) -> str:
    """Where the registry is: a URL as it stands, a path taken from the project's root."""
    if remotes.is_remote(declared):
        return declared
    return str((root / Path(declared).expanduser()).resolve())


def clone_folder(address: str, home: Path) -> Path:
    """Where the clone of an address lies under ``home``; another address is another clone."""
    name = re.split(r"[/:\\]", address.rstrip("/"))[-1].removesuffix(".git") or "registry"
    safe_name = re.sub(r"[^\w.-]+", "-", name)
    return home / f"{safe_name}-{hashlib.sha256(address.encode()).hexdigest()[:8]}.git"


def at_hand(address: str, home: Path) -> Repository:
    """The clone as it was last brought up to date; an empty one where there was none."""
    return remotes.begin_clone(clone_folder(address, home), address)


def refresh_clone(clone: Repository, address: str) -> None:
    """Bring a clone up to date whose view is older than ``FRESH`` seconds. Raises ``RegistryError``
    where there is none."""
    # Where the registry cannot be reached, the older view serves.
    age, last_attempt = remotes.tags_age(clone), clone.common / "towpath" / "tried"
    since = time.time() - last_attempt.stat().st_mtime if last_attempt.exists() else age
    if age is not None and since is not None and min(age, max(0.0, since)) <= FRESH:
        return None
    try:
        registry_publication.fetch_registry(clone, ORIGIN)
    except RegistryError as refused:  # an older view is better than none
        if age is not None:
            return last_attempt.touch()
        shown = hide_credentials(address)
        hint = f"it was never fetched here; look at the address, and try: git ls-remote {shown}"
        because = "; ".join(fault.what.removeprefix(f"{ORIGIN} ") for fault in refused.faults)
        what = f"the shared registry {shown} {because.replace(address, shown)}"
        raise RegistryError(what, hint=hint) from refused


def explain_staleness(clone: Repository, address: str) -> str | None:
    age = remotes.tags_age(clone)
    if age is None or age <= FRESH:
        return None
    old = f"{age / 60:.0f} minutes" if age < 7200 else f"{age / 3600:.0f} hours"
    shown = hide_credentials(address)
    return f"as of {old} ago: {shown} cannot be reached; towpath fetch says why"


def push_main(clone: Repository, address: str) -> bool:
    """Push what was approved in the clone; False where there is nothing that the registry lacks.
    Raises ``RegistryError`` where the registry's main branch went on meanwhile, or refuses."""
    name = main_branch.main_branch_name(clone)
    mine = branches.branch_commit(clone, name)
    if mine is None or _main_holds(clone, mine):
        return False
    registry_publication.fetch_registry(clone, ORIGIN)
    theirs = main_branch.remote_main(clone)
    if theirs is None or _main_holds(clone, mine):
        return False
    # Pushed over theirs it would take back what was approved there meanwhile.
    if not commit_history.is_ancestor(clone, theirs, mine):
        shown = hide_credentials(address)
        what = f"{name} of {shown} went on while a promotion was approved here"
        hint = f"git -C '{clone.root}' branch -D {name}; then propose and approve it again"
        raise RegistryError(what, hint=hint)
    refused = remotes.push_branch(clone, ORIGIN, name, mine, theirs)
    if refused:
        what = f"{hide_credentials(address)} refused {name}: {refused}"
        raise RegistryError(what, hint="a protected branch takes pull requests alone")
    registry_publication.fetch_registry(clone, ORIGIN)
    return True


def _main_holds(clone: Repository, commit: str) -> bool:
    theirs = main_branch.remote_main(clone)
    return theirs is not None and commit_history.is_ancestor(clone, commit, theirs)


def registry_root_commit(clone: Repository, address: str) -> str:
    """The commit that a version of another repository's code descends from: the main branch's."""
    commit = main_branch.main_commit(clone)
    shown = hide_credentials(address)
    if commit is None and remotes.tags_age(clone) is None:
        what = f"the shared registry {shown} was never fetched here"
        raise RegistryError(what, hint="towpath fetch")
    if commit is None:
        what = f"the shared registry {shown} has no main branch yet"
        raise RegistryError(what, hint="make it with `towpath new registry`, and push that")
    return commit


def name_code_repository(repository: Repository) -> str:
    """What a record calls the repository of a project's code: its remote's address, or its path."""
    remote = remotes.choose_remote(repository)
    address_found = remotes.remote_address(repository, remote) if remote else None
    if address_found is None or remotes.is_remote(address_found):
        return address_found or repository.root.as_uri()
    return (repository.root / address_found).resolve().as_uri()


def build_commit_files(
    registry: Repository, root: Path, base: str, record: VersionRecord
) -> dict[str, bytes]:
    """What the commit of a version holds beside its record, all that DVC needs, by path: the model
    in `dvc.yaml`, its pointer, and in `.dvc/config` the store of the project at ``root``."""
    # Only who registers in a shared registry needs these: they load a reader of YAML.
    from towpath.backends.dvc import dvc_config, dvc_yaml, tracked_files

    pipeline, config = (
        (refs.read_content(registry, base, path) or b"").decode("utf-8", "replace")
        for path in (dvc_yaml.PIPELINE, dvc_config.CONFIG)
    )
    path = PurePosixPath("registry/models", record.model, PurePosixPath(record.path).name)
    parsed = dvc_config.DvcConfig.parse_text(config, f"{dvc_config.CONFIG} of the shared registry")
    # The project made the bytes and pushed them: its store becomes the registry's default remote.
    remote = dvc_config.shared_remote(root)
    whole = parsed.with_remote(remote) if remote else parsed
    texts = {
        dvc_yaml.PIPELINE: dvc_yaml.add_artifact(pipeline, record.model, str(path)),
        tracked_files.pointer_path(str(path)): tracked_files.write_pointer(
            record.artifact, path.name
        ),
        dvc_config.CONFIG: str(whole) or "[core]\n",
    }
    return {name: text.encode() for name, text in texts.items()}
