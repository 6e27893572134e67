"""Where the running Towpath was installed from, as a line that pip and uv install it from again."""

from __future__ import annotations

import json
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from towpath.backends.cookiecutter.template_catalogue import CHECKOUT


def own_requirement() -> str:
    """A requirement (PEP 508), or the whole path of a checkout that Towpath runs from."""
    try:
        return requirement_of(distribution("towpath"))
    except PackageNotFoundError:  # run from a checkout by PYTHONPATH
        return str(CHECKOUT)


def requirement_of(installed: Distribution) -> str:
    """The requirement that installs this distribution again, by its record of its origin."""
    origin = json.loads(installed.read_text("direct_url.json") or "{}")  # PEP 610
    if "url" not in origin:
        return f"towpath=={installed.version}"
    if "vcs_info" in origin:
        vcs = origin["vcs_info"]
        return f"towpath @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}"
    if "dir_info" in origin:
        return str(Path(url2pathname(urlparse(origin["url"]).path)))
    return f"towpath @ {origin['url']}"
