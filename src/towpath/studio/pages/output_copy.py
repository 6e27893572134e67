"""What a site of files holds of an output, so that nothing of it acts in the site's origin.

No policy of a server's comes with a file. A page of HTML stands shut off in an attribute of ours, a
drawing in an address of data; beside the page lies what no browser takes for a page, or an archive.
"""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from towpath.control_characters import is_visible
from towpath.credentials import hide_credentials
from towpath.studio.previews.file_preview import PAGES_OF_STEPS, PICTURES
from towpath.studio.site_outputs import MOST_SITE_BYTES, RASTERS

if TYPE_CHECKING:
    from towpath.config.artifact import Artifact

# It stands before all that the page says, and no other can loosen it.
_SHUT = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="content-security-policy" '
    "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "form-action 'none'; base-uri 'none'\">"
)
_OLDEST = (1980, 1, 1, 0, 0, 0)  # of a file in an archive: the same bytes make the same archive


class OutputCopy(Struct, frozen=True):
    """``file`` beside the page with its ``content``, ``picture`` is the address of what the page
    shows, ``html`` what is shown shut off; each "" where there is none. ``is_withheld`` where a
    credential stands in it."""

    file: str = ""
    content: bytes = b""
    picture: str = ""
    html: str = ""
    is_withheld: bool = False


def copy_output(path: Path, artifact: Artifact, file: str) -> OutputCopy:
    """What the page of the output at ``path`` holds; ``file`` is what its file is called."""
    content = path.read_bytes()[: MOST_SITE_BYTES + 1]
    suffix = Path(artifact.name).suffix.lower()
    text = content.decode("utf-8-sig", "replace")
    is_withheld = suffix not in RASTERS and hide_credentials(text) != text
    if is_withheld or len(content) > MOST_SITE_BYTES:
        return OutputCopy(is_withheld=is_withheld)
    whole = _pack_file(artifact.name, content) if file.endswith(".zip") else content
    picture = ""
    if suffix in PICTURES:
        picture = file if suffix in RASTERS else _write_data_address(suffix, content)
    return OutputCopy(file, whole, picture, _SHUT + text if suffix in PAGES_OF_STEPS else "")


def embed_picture(path: Path, name: str, bytes_left: int) -> str:
    """A picture of a folder as an address of data; "" where it is larger than ``bytes_left``."""
    try:
        if path.is_symlink() or not 0 < path.stat().st_size <= bytes_left:
            return ""
        content = path.read_bytes()[:bytes_left]
    except OSError:
        return ""
    return _write_data_address(Path(name).suffix.lower(), content)


def _write_data_address(suffix: str, content: bytes) -> str:
    return f"data:{PICTURES[suffix]};base64,{base64.b64encode(content).decode()}"


def _pack_file(name: str, content: bytes) -> bytes:
    inner = Path(name).name
    is_plain = inner not in ("", ".", "..") and is_visible(inner) and "\\" not in inner
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        entry = zipfile.ZipInfo(inner if is_plain else "output", _OLDEST)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o644 << 16
        packed.writestr(entry, content)
    return archive.getvalue()
