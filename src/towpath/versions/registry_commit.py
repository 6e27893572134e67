"""What the commit of a version in a shared registry holds beside its record: all that DVC needs.

`dvc.yaml` names the model's file, a pointer beside its records gives the digest, and `.dvc/config`
says in which store the bytes are: that of the project, which made and pushed them.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from towpath.backends.dvc.dvc_config import CONFIG, DvcConfig, shared_remote
from towpath.backends.dvc.dvc_yaml import PIPELINE, add_artifact
from towpath.backends.dvc.tracked_files import pointer_path, write_pointer
from towpath.backends.git import refs

if TYPE_CHECKING:
    from towpath.backends.git import Repository
    from towpath.registry import VersionRecord
    from towpath.workspace import Workspace


def build_commit_files(workspace: Workspace, base: str, record: VersionRecord) -> dict[str, bytes]:
    """The files, by their path from the registry's root; ``base`` is the commit they go upon."""
    present = _texts_at(workspace.registry, base, PIPELINE, CONFIG)
    path = PurePosixPath("registry/models", record.model, PurePosixPath(record.path).name)
    texts = {
        PIPELINE: add_artifact(present.get(PIPELINE, ""), record.model, str(path)),
        pointer_path(str(path)): write_pointer(record.artifact, path.name),
        CONFIG: _dvc_configuration(workspace, present.get(CONFIG, "")),
    }
    return {name: text.encode() for name, text in texts.items()}


def _texts_at(repository: Repository, commit: str, *paths: str) -> dict[str, str]:
    names = {f"{commit}:{path}": path for path in paths}
    contents = refs.read_contents(repository, names)
    return {names[name]: content.decode("utf-8", "replace") for name, content in contents.items()}


def _dvc_configuration(workspace: Workspace, text: str) -> str:
    """The registry's configuration, and the project's store as the default remote if it has one."""
    remote = shared_remote(workspace.root)
    config = DvcConfig.parse_text(text, f"{CONFIG} of the shared registry")
    return str(config.with_remote(remote) if remote else config) or "[core]\n"
