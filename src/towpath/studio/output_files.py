"""The bytes of what steps made, for a browser: as a file to keep, or shown where they do nothing.

They are a stranger's. A picture and a page of HTML are answered with a policy of their own, by
which a browser gives them no origin, no script, no form and no request
(https://www.w3.org/TR/CSP3/#directive-sandbox); anything else is a download.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from starlette.responses import FileResponse, PlainTextResponse, Response

from towpath.errors import TowpathError
from towpath.studio.pages.page_kind import NoSuchPage
from towpath.studio.pages.run_facts import find_page_run
from towpath.studio.pages.step_output import find_member, find_output, picture_type
from towpath.studio.project_facts import ProjectFacts
from towpath.studio.site_outputs import find_stored_bytes

SANDBOX = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)


def answer_output(root: Path, names: Mapping[str, str], is_download: bool) -> Response:
    """The file that ``names`` lead to: run, step, output, and of a folder the member. 404 with a
    word where there is none, it is not here, or a browser would not be given it."""
    facts = ProjectFacts(root)
    try:
        run = find_page_run(facts, names["run"])
        _, artifact = find_output(run, names["step"], names["output"])
    except NoSuchPage as missing:
        return PlainTextResponse(f"{missing.what}\n", 404)
    except TowpathError as refused:
        return PlainTextResponse(f"{refused.faults[0].what}\n", 404)
    member = names.get("member")
    file = find_member(facts, artifact, member) if member is not None else artifact
    path = find_stored_bytes(facts.workspace, file) if file and file.files is None else None
    if file is None or path is None:
        words = f"towpath get {run.id} {names['step']}.{names['output']}"
        return PlainTextResponse(f"Its bytes are not here as a file: {words}\n", 404)
    headers = {"content-security-policy": SANDBOX, "x-content-type-options": "nosniff"}
    if is_download:
        return FileResponse(
            path, media_type="application/octet-stream", filename=file.name, headers=headers
        )
    media_type = picture_type(file)
    if not media_type:
        return PlainTextResponse("It is neither a picture nor a page, or too large.\n", 404)
    return FileResponse(path, media_type=media_type, headers=headers)
