"""A folder that a server watches: ``<model>/versions/<version>/``, and ``current`` points at one.

What is there appears whole: a version is filled under another name and renamed, and ``current``
is a link that is replaced in one step. A server that holds the old version's files keeps them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from towpath.delivery.reconcile import bundle as bundles
from towpath.delivery.reconcile.bundle import Bundle
from towpath.delivery.reconcile.reconcile_plan import RunningVersion
from towpath.errors import DeployError
from towpath.registry import VersionRecord
from towpath.scratch import SUFFIX, remove_scratch, scratch_beside
from towpath.storage.copy_files import FULL
from towpath.versions.work_tree_files import note_own_files

_VERSIONS = "versions"
_CURRENT = "current"
_LEFT = f".*{SUFFIX}"


class FolderTarget(Struct, frozen=True):
    """The target ``{to: files, path: ...}``."""

    root: Path
    path: str
    stage: str

    @property
    def shown(self) -> str:
        return f"files {self.path}"

    def find_running(self, model: str, record: VersionRecord | None) -> RunningVersion | None:
        """Where ``current`` points, and whether what lies there is what the record says."""
        link = self.root / model / _CURRENT
        if not link.is_symlink():
            return RunningVersion("something that is no link" if link.exists() else None)
        aim = link.readlink()
        if aim != Path(_VERSIONS, aim.name):  # a server reads elsewhere
            return RunningVersion(aim.name, False)
        if record is None or str(record.version) != aim.name:
            return RunningVersion(aim.name)  # of another version: told as such
        place = self._version_folder(model, aim.name)
        return RunningVersion(aim.name, bundles.is_whole(place, record, self.stage))

    def prepare(self, bundle: Bundle) -> None:
        """Fill the version's folder; one that is there and was altered is mended file by file."""
        place = self._version_folder(bundle.model, str(bundle.version))
        with self._report_refusals():
            if bundles.is_whole(place, bundle.record, self.stage):
                return
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                place.unlink()
            if place.exists():
                _mend_folder(bundle.folder, place)
                return
            # Filled under another name, on the same disk: the rename then shows all of it at once.
            scratch = scratch_beside(place, shared=True)
            scratch.parent.mkdir(parents=True, exist_ok=True)
            try:
                _mend_folder(bundle.folder, scratch)
                scratch.rename(place)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)

    def prepared_bundle(self, bundle: Bundle) -> Bundle:
        return replace(bundle, folder=self._version_folder(bundle.model, str(bundle.version)))

    def switch_version(self, bundle: Bundle) -> None:
        with self._report_refusals():
            home = self.root / bundle.model
            scratch = scratch_beside(home / _CURRENT, shared=True)
            scratch.symlink_to(Path(_VERSIONS, str(bundle.version)))  # relative: mounts differ
            scratch.replace(home / _CURRENT)  # rename(2): a server sees the old link or the new
            note_own_files(
                [home / _CURRENT, self._version_folder(bundle.model, str(bundle.version))]
            )
            # By a reconcile that was cut short: under the stage's lease nobody else works here.
            for left in (*home.glob(_LEFT), *home.glob(f"*/{_LEFT}"), *home.glob(f"*/*/{_LEFT}")):
                remove_scratch(left)

    def remove_model(self, model: str) -> None:
        """Take ``current`` away; the versions stay, for whoever still reads them."""
        with self._report_refusals():
            (self.root / model / _CURRENT).unlink(missing_ok=True)

    def _version_folder(self, model: str, version: str) -> Path:
        return self.root / model / _VERSIONS / version

    @contextmanager
    def _report_refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as refusal:
            reason = FULL.get(refusal.errno or 0) or refusal.strerror or str(refusal)
            hint = "what ran before runs on; mend it and run again"
            raise DeployError(f"{self.path} cannot be written: {reason}", hint=hint) from refusal


def _mend_folder(source: Path, target: Path) -> None:
    """Make a folder equal to another, each file in one step, for a server may read there."""
    expected_files = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    folders = {parent for path in expected_files for parent in path.parents}
    for path in sorted(target.rglob("*"), reverse=True):  # what is in a folder comes before it
        name = path.relative_to(target)
        if path.is_symlink() or (not path.is_dir() and name not in expected_files):
            path.unlink()  # a link first of all: what is written must not go where it leads
        elif path.is_dir() and name not in folders:
            path.rmdir()
    for name in sorted(expected_files):
        scratch = scratch_beside(target / name, shared=True)
        scratch.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, scratch)
        scratch.replace(target / name)
