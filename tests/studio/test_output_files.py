"""What a step made, in a browser: kept, or shown where it can do nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from made_outputs import write_made_run

from towpath.storage.verified_bytes import folder_manifest
from towpath.workspace import Workspace

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PAGE = b"<script>fetch('/actions/run')</script><b>hello</b>"


@pytest.fixture
def drawn(tmp_path: Path, open_studio: Callable[[Path], httpx.Client]) -> tuple[httpx.Client, str]:
    run = write_made_run(
        tmp_path,
        {"chart.svg": SVG, "report.html": PAGE, "rows.csv": b"a,b\n1,<b>2\n", "odd.bin": b"\0\1"},
    )
    return open_studio(tmp_path), f"/runs/{run}/draw"


def test_pictures_and_pages_are_shut_off(drawn: tuple[httpx.Client, str]) -> None:
    client, step = drawn
    for name, kind in (("chart", "image/svg+xml"), ("report", "text/html; charset=utf-8")):
        answer = client.get(f"{step}/{name}/shown")
        assert answer.headers["content-type"] == kind
        policies = answer.headers.get_list("content-security-policy")
        assert len(policies) == 1
        assert policies[0].startswith("sandbox; default-src 'none';")
        assert "allow" not in policies[0] and "script" not in policies[0]
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = client.get(f"{step}/report/").text
    assert '<iframe class="foreign-page" sandbox src="shown"' in page or "sandbox src=" in page
    assert "<b>hello" not in page
    assert 'alt="chart.svg, as step draw drew it"' in client.get(f"{step}/chart/").text
    assert (
        "default-src 'none'; script-src 'self'"
        in client.get(f"{step}/chart/").headers["content-security-policy"]
    )


def test_files_are_kept_whole_and_never_shown_as_something_else(
    drawn: tuple[httpx.Client, str],
) -> None:
    client, step = drawn
    answer = client.get(f"{step}/report/file")
    assert answer.content == PAGE
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == 'attachment; filename="report.html"'
    assert client.get(f"{step}/rows/shown").status_code == 404
    table = client.get(f"{step}/rows/").text
    assert "&lt;b&gt;2" in table and "1 of 1 rows" in table
    assert "no text" in client.get(f"{step}/odd/").text
    listed = client.get(f"{step}/").text
    assert f'href="../../..{step}/rows/file"' in listed and "<img src=" in listed


def test_no_way_leads_out_and_what_is_not_here_is_said(
    drawn: tuple[httpx.Client, str], tmp_path: Path
) -> None:
    client, step = drawn
    for path in ("nope/file", "nope/", "..%2f..%2ftowpath.yaml/file", "%2e%2e/file",
                 "chart/..%2f..%2f..%2ftowpath.yaml"):  # fmt: skip
        assert client.get(f"{step}/{path}", follow_redirects=True).status_code == 404, path
    assert client.get(f"{step[:-4]}nope/chart/shown").status_code == 404
    objects = sorted((tmp_path / ".dvc" / "cache" / "files" / "md5").glob("??/*"))
    for path in objects:  # somebody put a link in the place of each
        path.unlink()
        path.symlink_to(tmp_path / "towpath.yaml")
    answer = client.get(f"{step}/chart/shown")
    assert answer.status_code == 404
    assert "towpath get" in answer.text and "draw.chart" in answer.text
    page = client.get(f"{step}/chart/").text
    assert "Its bytes are not here" in page and "towpath get" in page


def test_a_folder_shows_its_pictures_and_names_its_files(
    tmp_path: Path, open_studio: Callable[[Path], httpx.Client]
) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").touch()
    objects = Workspace(tmp_path).store.objects
    members = {"b/<i>.svg": objects.add_bytes(SVG), "a.csv": objects.add_bytes(b"a,b\n")}
    manifest = folder_manifest(members)
    digest = objects.add_manifest(manifest)
    run = write_made_run(
        tmp_path, {}, {"plots": {"digest": digest, "size": 99, "name": "plots", "files": 3}}
    )
    client, folder = open_studio(tmp_path), f"/runs/{run}/draw/plots"
    page = client.get(f"{folder}/").text
    assert 'alt="b/&lt;i&gt;.svg"' in page and "a.csv" in page and "and 1 more" in page
    shown = client.get(f"{folder}/1/shown")
    assert shown.content == SVG
    assert shown.headers["content-security-policy"].startswith("sandbox;")
    assert client.get(f"{folder}/0/file").content == b"a,b\n"
    for path in ("0/shown", "2/file", "-1/file", "x/file", "9999999999999/file", "file", "shown"):
        assert client.get(f"{folder}/{path}").status_code == 404, path
