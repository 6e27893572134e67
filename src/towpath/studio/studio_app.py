"""Studio as a web application: a route for each page, and nothing of its own to remember."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from towpath.execution import run_folders
from towpath.studio.access_guard import AccessGuard
from towpath.studio.page_index import PAGES
from towpath.studio.page_templates import PagePlace, render_missing, render_page
from towpath.studio.pages.page_kind import NoSuchPage, PageKind, PageRequest
from towpath.studio.pages.run_page import find_page_run
from towpath.studio.project_facts import ProjectFacts
from towpath.studio.run_stream import stream_events

if TYPE_CHECKING:
    from starlette.requests import Request

ASSETS = resources.files("towpath.studio").joinpath("assets")


def make_app(root: Path, token: str) -> AccessGuard:
    """The application over the project at ``root``, opened by ``token``."""
    routes = [
        Mount("/assets", StaticFiles(directory=str(ASSETS))),
        Route("/runs/{run}/events", functools.partial(_stream_run, root)),
        Route("/runs/{run}/{step}/log.txt", functools.partial(_send_log, root)),
        *(Route(f"/{kind.path}", _page_endpoint(root, kind)) for kind in PAGES),
    ]
    app = Starlette(routes=routes, exception_handlers={404: functools.partial(_answer_missing, root)})
    return AccessGuard(app, token)


def _page_endpoint(root: Path, kind: PageKind) -> Callable[[Request], object]:
    async def answer(request: Request) -> Response:
        return await run_in_threadpool(_answer_page, root, kind, request)

    return answer


def _answer_page(root: Path, kind: PageKind, request: Request) -> Response:
    facts = ProjectFacts(root)
    place = PagePlace(request.url.path.lstrip("/"))
    query = {name: tuple(request.query_params.getlist(name)) for name in request.query_params}
    try:
        view = kind.gather(facts, PageRequest(dict(request.path_params), query))
    except NoSuchPage as missing:
        return HTMLResponse(render_missing(facts, missing.what, place), 404)
    return HTMLResponse(render_page(kind, facts, view, place))


async def _answer_missing(root: Path, request: Request, _: Exception) -> Response:
    path = request.url.path
    if not path.endswith("/") and "." not in path.rpartition("/")[2]:
        return RedirectResponse(f"{path}/", 307)
    what = "There is no such page."
    return HTMLResponse(render_missing(ProjectFacts(root), what, PagePlace(path.lstrip("/"))), 404)


async def _stream_run(root: Path, request: Request) -> Response:
    folder = _run_folder(root, request.path_params["run"])
    if folder is None:
        return PlainTextResponse("no such run\n", 404)
    last = request.headers.get("last-event-id", "0")
    begin = int(last) if last.isdigit() else 0
    return StreamingResponse(stream_events(folder, begin), media_type="text/event-stream")


async def _send_log(root: Path, request: Request) -> Response:
    """A whole log, as plain text: what a step printed is never a page of ours."""
    facts = ProjectFacts(root)
    try:
        run = await run_in_threadpool(find_page_run, facts, request.path_params["run"])
    except NoSuchPage as missing:
        return PlainTextResponse(f"{missing.what}\n", 404)
    step = request.path_params["step"]
    path = facts.workspace.runs / run.id / step / "log.txt"
    if step not in run.steps or not path.is_file() or path.is_symlink():
        return PlainTextResponse("no such log\n", 404)
    return FileResponse(path, media_type="text/plain; charset=utf-8", stat_result=os.stat(path))


def _run_folder(root: Path, name: str) -> Path | None:
    runs = ProjectFacts(root).workspace.runs
    return runs / name if name in run_folders.list_run_names(runs) else None
