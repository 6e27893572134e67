"""What a step left open, running or half done when its function returned."""

from __future__ import annotations

import pytest

from towpath.errors import StepFailed

LEFT = """
    import atexit, csv, functools, gzip, io, logging, os, sqlite3, subprocess, sys, threading, time
    import zipfile
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    KEEP = []

    def plain(rows: Path):
        file = rows.open("w")
        KEEP.append(file)
        for k in range(3000):
            file.write(f"{k}\\n")

    def table(rows: Path):
        KEEP.append(csv.writer(rows.open("w")))
        for k in range(1000):
            KEEP[0].writerow([k])

    def packed(rows: Path):
        KEEP.append(gzip.open(rows, "wt"))
        KEEP[0].write("x" * 99)

    def archive(rows: Path):
        KEEP.append(zipfile.ZipFile(rows, "w"))
        KEEP[0].writestr("a", "b")

    def parquet(rows: Path):
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
        table = pa.table({"a": list(range(9))})
        KEEP.append(ParquetWriter(rows, table.schema))
        KEEP[0].write_table(table)

    def moved(rows: Path):
        part = rows.with_suffix(".part")
        KEEP.append(part.open("w"))
        KEEP[0].write("x")
        part.rename(rows)

    def generator(rows: Path):
        def lines():
            with rows.open("w") as file:
                while True:
                    file.write("x" * 9)
                    yield
        KEEP.append(lines())
        next(KEEP[0])

    def daemon(rows: Path):
        def write():
            with rows.open("w") as file:
                file.write("x")
                time.sleep(60)
        threading.Thread(target=write, daemon=True).start()
        while not rows.exists():
            time.sleep(0.01)

    def database(rows: Path):
        KEEP.append(sqlite3.connect(rows))
        KEEP[0].execute("create table a (b)")
"""


@pytest.mark.parametrize(
    "name",
    ["plain", "table", "packed", "archive", "parquet", "moved", "generator", "daemon", "database"],
)
def test_a_file_that_is_still_open_fails_the_step(project, warm, name):
    project.steps(LEFT)
    warm()
    with pytest.raises(StepFailed) as failed:
        project.carry_out(name, ["rows.txt"])
    (fault,) = failed.value.faults
    assert fault.what == "output `rows`: rows.txt is still open: close it, or use `with`"
    assert fault.place and fault.place.file == "flows/training/steps.py"


def test_each_file_of_a_folder_is_named_and_a_returned_path_is_looked_at(project, warm):
    project.steps("""
        import tempfile
        from pathlib import Path

        KEEP = []

        def leave(parts: Path):
            (parts / "deep").mkdir()
            for name in ("a.txt", "deep/b.txt"):
                KEEP.append((parts / name).open("w"))
            (parts / "done.txt").write_text("x")
            elsewhere = Path(tempfile.mkdtemp()) / "c.txt"
            KEEP.append(elsewhere.open("w"))
            return elsewhere
    """)
    warm()
    with pytest.raises(StepFailed) as failed:
        project.carry_out("leave", ["parts/", "notes.txt"])
    assert sorted(fault.what.partition(" is still")[0] for fault in failed.value.faults) == [
        "output `notes`: c.txt",
        "output `parts`: parts/a.txt",
        "output `parts`: parts/deep/b.txt",
    ]


def test_a_map_and_a_child_that_still_write_are_named(project, warm):
    project.steps("""
        import subprocess
        from pathlib import Path
        import numpy as np

        KEEP = []

        def mapped(rows: Path):
            KEEP.append(np.memmap(rows, "int64", "w+", shape=9))

        def child(rows: Path):
            with rows.open("w") as file:
                subprocess.Popen(["sleep", "60"], stdout=file, start_new_session=True)
    """)
    warm()
    with pytest.raises(StepFailed, match=r"rows\.bin is still mapped for writing"):
        project.carry_out("mapped", ["rows.bin"])
    with pytest.raises(StepFailed, match=r"rows\.txt is still open in process \d+, which the step"):
        project.carry_out("child", ["rows.txt"])


WHOLE = """
    import logging, threading, time
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    LINES = [f"{k}\\n" for k in range(3000)]
    KEEP = []

    def forgotten(rows: Path):
        file = rows.open("w")
        file.writelines(LINES)

    def circle(rows: Path):
        class Node: pass
        node = Node()
        node.self, node.file = node, rows.open("w")
        node.file.writelines(LINES)

    def handed_back(rows: Path):
        file = rows.open("w")
        file.writelines(LINES)
        return file

    def later(rows: Path):
        def write():
            time.sleep(0.3)
            with rows.open("w") as file:
                file.writelines(LINES)
        threading.Thread(target=write).start()

    def pool(rows: Path):
        KEEP.append(ThreadPoolExecutor(1))
        KEEP[0].submit(later_lines, rows)

    def forgotten_pool(rows: Path):
        ThreadPoolExecutor(1).submit(later_lines, rows)

    def later_lines(rows):
        time.sleep(0.3)
        rows.write_text("".join(LINES))

    def logged(rows: Path):
        log = logging.getLogger("mine")
        handler = logging.FileHandler(rows)
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        for line in LINES:
            log.warning(line.strip())

    def kept_for_reading(rows: Path):
        rows.write_text("".join(LINES))
        KEEP.append(rows.open())

    def kept_elsewhere(rows: Path):
        import tempfile
        rows.write_text("".join(LINES))
        KEEP.append(tempfile.NamedTemporaryFile())
"""


@pytest.mark.parametrize(
    "name",
    [
        *("forgotten", "circle", "handed_back", "later", "pool", "forgotten_pool", "logged"),
        *("kept_for_reading", "kept_elsewhere"),
    ],
)
def test_what_a_plain_script_leaves_whole_is_whole(project, warm, name):
    project.steps(WHOLE)
    warm()
    made = project.carry_out(name, ["rows.txt"])
    whole = "".join(f"{k}\n" for k in range(3000))
    assert project.read(made.outputs["rows"]).decode() == whole
