"""Logs on pages: their end, their colours and levels, what is searched in them, and two of them."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from towpath.execution.run_record import Recorder, new_folder
from towpath.studio.log_markup import draw_log_lines
from towpath.studio.pages.log_search import search_log
from towpath.studio.pages.step_log import read_log_end, read_log_from


def write_log(folder: Path, content: str | bytes) -> Path:
    path = folder / "log.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_colours_become_classes_after_the_text_is_escaped(tmp_path: Path) -> None:
    text = "\x1b[1;31m<b>red\x1b[0m plain \x1b[38;5;2mgreen\x1b[2Kx\n"
    text += "10%\r50%\rdone\n\x1b]8;;javascript:1\x07link\n"
    log = read_log_end(write_log(tmp_path, text))
    assert log is not None
    html = str(draw_log_lines(log.lines))
    assert (
        '<span class="ansi1 ansi-bold">&lt;b&gt;red</span> plain <span class="ansi2">green' in html
    )
    assert [line.text for line in log.lines] == ["<b>red plain greenx", "done", "link"]
    assert "javascript" not in html
    assert 'id="L3"' in html


def test_levels_and_tracebacks_are_told(tmp_path: Path) -> None:
    text = "\n".join([
        "2026-11-26 INFO begin", "WARNING: hot", "/x.py:3: UserWarning: old",
        "Traceback (most recent call last):", '  File "a.py", line 1, in f', "    f()",
        "ValueError: no", "after it", "an errorless line",
    ])  # fmt: skip
    log = read_log_end(write_log(tmp_path, text))
    assert log is not None
    levels = [line.level for line in log.lines]
    assert levels == ["info", "warning", "warning", "error", "error", "error", "error", "", ""]
    assert log.level_counts == {"error": 1, "warning": 2, "info": 1}
    assert [line.number for line in log.lines_from("warning")] == [2, 3, 4, 5, 6, 7]
    assert log.lines[-1].is_partial and log.next_place == len(text) - len("an errorless line")
    assert 'class="line level-error cause"' in str(draw_log_lines(log.lines))


def test_what_comes_later_is_read_from_where_it_begins(tmp_path: Path) -> None:
    path = write_log(tmp_path, "one\ntwo\nthr")
    log = read_log_end(path)
    assert log is not None
    with path.open("a") as file:
        file.write("ee\nfour\n")
    more = read_log_from(path, log.next_place, log.next_number)
    assert more is not None
    assert [(line.number, line.text) for line in more.lines] == [(3, "three"), (4, "four")]
    assert read_log_from(path, 10_000, 1) is None  # it was begun anew


def test_words_are_searched_in_the_whole_a_part_at_a_time(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(1, 60_001)]
    lines[9], lines[11], lines[59_999] = "a Needle", "needle https://me:hunter22@x.org", "NEEDLE"
    search = search_log(write_log(tmp_path, "\n".join(lines)), "needle")
    assert search is not None and search.is_at_end
    assert [hit.number for hit in search.hits] == [10, 12, 60_000]
    first, second, last = search.hits
    assert (first.before, first.words, first.lines_before) == ("a ", "Needle", ("line 8", "line 9"))
    assert second.is_joined and second.lines_before == ("line 11",)
    assert "hunter22" not in second.after
    assert last.lines_after == ()
    many = search_log(tmp_path / "log.txt", "line")
    assert many is not None and len(many.hits) == 100 and not many.is_at_end
    rest = search_log(tmp_path / "log.txt", "line", many.end, many.next_number or 1)
    assert rest is not None and rest.hits[0].number == many.hits[-1].number + 1


def test_a_gigabyte_and_a_line_without_end_cost_little(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with path.open("wb") as file:
        file.write(b"needle\n")
        file.truncate(1 << 30)
    begin = time.process_time()
    search = search_log(path, "needle")
    assert search is not None
    assert len(search.hits) == 1
    assert 0 < search.end < search.size and not search.is_at_end
    log = read_log_end(path)
    assert time.process_time() - begin < 0.6
    assert log is not None and len(log.lines) == 1
    assert log.lines[0].number is None
    assert len(log.lines[0].text) <= 4000


def test_what_is_no_file_is_no_log(tmp_path: Path) -> None:
    (tmp_path / "towpath.yaml").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "towpath.yaml")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").symlink_to("/etc")
    assert read_log_end(tmp_path / "folder" / "hostname") is None
    for name in ("link", "pipe", "nope", "."):
        assert read_log_end(tmp_path / name) is None
        assert search_log(tmp_path / name, "e") is None


def write_run(root: Path, log: str) -> str:
    (root / "towpath.yaml").write_text("name: logged\n")
    folder = new_folder(root / ".towpath" / "runs")
    record = Recorder(folder)
    record("started", run=folder.name, pipeline="gone", asked={}, params={}, inputs={},
           sources={}, tried=[], origin={}, steps={"fit": "training"})  # fmt: skip
    record("step", step="fit", state="done", seconds=1.0)
    record("finished", state="done", seconds=1.0, exit_code=0)
    record.close()
    (folder / "fit").mkdir()
    write_log(folder / "fit", log)
    return folder.name


@pytest.fixture
def two_runs(tmp_path: Path) -> tuple[str, str]:
    same = "".join(f"{i} ms of epoch {i}\n" for i in range(20))
    first = write_run(tmp_path, f"{same}INFO at 10:00:00 in 3.2 s\nERROR <i>one</i>\n")
    return first, write_run(tmp_path, f"{same}INFO at 11:11:11 in 4 s\nERROR two\nand more\n")


def test_the_page_of_a_step_searches_filters_and_follows(
    two_runs: tuple[str, str], tmp_path: Path, open_studio: Callable[[Path], httpx.Client]
) -> None:
    client, step = open_studio(tmp_path), f"/runs/{two_runs[0]}/fit"
    found = client.get(f"{step}/?find=error").text
    assert "1 line with <q>error</q> in all of" in found
    assert "<mark>ERROR</mark> &lt;i&gt;one&lt;/i&gt;" in found
    assert "No lines with" in client.get(f"{step}/?find=nowhere&from=x&line=-3").text
    (place,) = re.findall(r"\?from=(\d+)&amp;line=21#L21", client.get(f"{step}/?find=10:00").text)
    there = client.get(f"{step}/?from={place}&line=21").text
    assert 'id="L21"' in there and "epoch 3" not in there and "data-log=" not in there
    errors = client.get(f"{step}/?level=error").text
    assert "1 of the 22 lines" in errors and "epoch 3" not in errors
    more = client.get(f"{step}/log/more?from=0&line=1").json()
    assert more["line"] == 23 and "&lt;i&gt;one" in more["html"]
    assert client.get(f"{step}/log/more?from={more['next']}&line=23").json()["html"] == ""
    for path in (f"/runs/{two_runs[0]}/..%2f..%2f/log/more", "/runs/..%2f/fit/log/more",
                 f"{step}/log/more?from=99999"):  # fmt: skip
        assert client.get(path, follow_redirects=True).status_code == 404, path


def test_two_logs_stand_side_by_side_without_what_always_differs(
    two_runs: tuple[str, str], tmp_path: Path, open_studio: Callable[[Path], httpx.Client]
) -> None:
    client, (first, second) = open_studio(tmp_path), two_runs
    page = client.get(f"/compare/logs/?run={first}&run={second}").text
    assert "2 lines differ" in page
    assert "18 equal lines" in page
    assert page.count("pair-changed") == 1 and page.count("pair-right") == 1
    assert client.get(f"/compare/logs/?run={first}&run={second}&step=x").status_code == 404
    assert "Choose two runs" in client.get(f"/compare/logs/?run={first}").text
