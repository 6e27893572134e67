"""The test server's HTTP: who calls, which operation, and the judgement of both sides."""

from __future__ import annotations

import base64
import json
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from github_description import VERSION, Operation
from github_git import serve
from github_routes import ROUTES, Call, Refusal

if TYPE_CHECKING:
    from github_server import GitHubServer

_DOCS = "https://docs.github.com/rest"


class Handler(BaseHTTPRequestHandler):
    """One connection; HTTP/1.1 with lengths, for libgit2 understands no other."""

    github: GitHubServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece: in two, the second waits 40 ms for the first's receipt
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _any(self) -> None:
        body = self._read()
        if ".git/" in self.path:
            return self._git(body)
        if (due := self.github.failure(self.path)) is not None:
            return self._fail(due)
        with self.github.lock:
            status, answer, headers = self._answer(body)
        return self._send(status, headers, answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 names of the library

    def _answer(self, raw: bytes) -> tuple[int, Any, dict[str, str]]:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        body = json.loads(raw) if raw else None
        self.github.requests.append((self.command, self.path, body))
        operation, function, status, named = self._operation(parts.path)
        if operation is None:
            self._fault(f"no such operation: {self.command} {parts.path}")
            return 404, {"message": "Not Found"}, {}
        headers: dict[str, str] = {}
        try:
            who = self._who()
            if wrong := operation.wrong_call(query, body):
                self._fault(f"{operation.name} called wrongly: {wrong}")
                raise Refusal(422, "Invalid request.", wrong)
            answer = function(Call(self.github, who, named, query, body))
            answer, headers = self._page(answer, parts.path, query)
            answer = operation.complete(answer)
        except Refusal as refusal:
            status, headers = refusal.status, refusal.headers
            answer = {"message": refusal.message, "documentation_url": _DOCS}
            answer |= {"errors": refusal.errors} if refusal.errors else {}
        if wrong := operation.wrong_answer(status, answer):
            self._fault(f"{operation.name} answered wrongly ({status}): {wrong}")
        return status, answer, headers

    def _operation(self, path: str) -> tuple[Operation | None, Any, int, dict[str, str]]:
        for operation, function, status in ROUTES:
            named = operation.match(self.command, path)
            if named is not None:
                return operation, function, status, named
        return None, None, 404, {}

    def _who(self) -> Any:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if self.headers.get("X-GitHub-Api-Version") != VERSION:
            self._fault(f"API version {self.headers.get('X-GitHub-Api-Version')}")
        if "application/vnd.github" not in self.headers.get("Accept", ""):
            self._fault(f"Accept: {self.headers.get('Accept')}")
        if not token:
            raise Refusal(401, "Requires authentication")
        if scheme.lower() not in ("bearer", "token"):
            self._fault(f"Authorization: {scheme}")
        return self.github.by_token(token)

    def _page(self, answer: Any, path: str, query: dict[str, str]) -> tuple[Any, dict[str, str]]:
        key = next((k for k in answer if k not in ("total_count",)), "") if answer else ""
        wrapped = isinstance(answer, dict) and "total_count" in answer
        rows = answer[key] if wrapped else answer
        if not isinstance(rows, list):
            return answer, {}
        size = min(int(query.get("per_page", 30)), self.github.page_size)
        page = int(query.get("page", 1))
        shown = rows[(page - 1) * size : page * size]
        headers = {}
        if page * size < len(rows):
            following = urlencode({**query, "page": page + 1})
            headers["Link"] = f'<{self.github.url}{path}?{following}>; rel="next"'
        return ({**answer, key: shown} if wrapped else shown), headers

    def _git(self, body: bytes) -> None:
        scheme, _, word = self.headers.get("Authorization", "").partition(" ")
        given = base64.b64decode(word).decode() if scheme.lower() == "basic" else ":"
        try:
            who = self.github.by_token(given.partition(":")[2])
        except Refusal:
            return self._send(401, {"WWW-Authenticate": 'Basic realm="GitHub"'}, b"")
        name = self.path.lstrip("/").partition(".git/")[0]
        hosted = self.github.repositories.get(name)
        if hosted is None or hosted.right(who) == "none":
            return self._send(404, {}, b"Repository not found.")
        if "git-receive-pack" in self.path and hosted.right(who) == "read":
            return self._send(403, {}, b"Write access to repository not granted.")
        folder = self.github.folder
        served = serve(folder, who.login, self.command, self.path, self.headers, body)
        return self._send(served.status, dict(served.headers), served.body)

    def _fail(self, due: Any) -> None:
        if due.silent and self.github.stopping.wait(due.silent):
            self.close_connection = True
            return None
        if due.status == 0:
            self.close_connection = True
            return None
        body = {"message": "?"} if due.body is None else due.body
        return self._send(due.status, due.headers, body)

    def _send(self, status: int, headers: dict[str, str], answer: Any) -> None:
        raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        raw = b"" if status == 204 else raw
        self.send_response(status)
        known = {name.lower() for name in headers}
        if "content-type" not in known:
            self.send_header("Content-Type", "application/json; charset=utf-8")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("X-GitHub-Request-Id", f"{time.time_ns():X}")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def _fault(self, words: str) -> None:
        self.github.faults.append(words)
