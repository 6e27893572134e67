"""A step from the project's root."""

import shutil

from .paths import target


def to_folder(report, folder="out"):
    mode = 0o644
    path = target(folder)
    shutil.copy(report, path)
    path.chmod(mode)
    return {"path": str(path)}
