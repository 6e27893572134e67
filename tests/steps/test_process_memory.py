"""The memory of a step's process: what counts, what is too much, and what was used at most.

A supervisor that shares its memory with what it was forked from would count another: it is started
(``forked_supervisors.FRESH``).
"""

from __future__ import annotations

import pytest
from ended_processes import gone, wait_until

from towpath.errors import StepFailed


@pytest.mark.parametrize("spread", [False, True], ids=["alone", "spread over children"])
def test_a_step_that_needs_more_than_its_memory_is_killed(project, way, spread):
    project.steps("""
        import subprocess, sys, time
        from pathlib import Path

        HOLD = "import time; held = bytearray(b'1') * (60 << 20); time.sleep(1000)"

        def grow(pids, spread):
            if spread:
                children = [subprocess.Popen([sys.executable, "-c", HOLD]) for _ in range(3)]
                Path(pids).write_text(" ".join(str(child.pid) for child in children))
                time.sleep(1000)
            held = []
            while True:
                held.append(bytearray(b"1") * (10 << 20))
                time.sleep(0.01)
    """)
    pids = project.root / "pids"
    way()
    order = project.order("grow", (), {"pids": str(pids), "spread": spread})
    with pytest.raises(StepFailed) as failure:
        project.call(order, memory=160 << 20, timeout=60)
    what = "it needed more than the 160 MB of its memory and was killed"
    assert failure.value.faults[0].what == what
    assert failure.value.causes == ("MemoryError",)
    if spread:
        wait_until(lambda: all(gone(int(pid)) for pid in pids.read_text().split()))


def test_memory_that_is_only_reserved_or_shared_is_no_step_s(project, way):
    project.steps("""
        import mmap, os, time

        def reserve(path):
            mmap.mmap(-1, 4 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            held = bytearray(b"1") * (100 << 20)
            with open(path, "wb") as file:
                file.truncate(100 << 20)
            with open(path, "rb") as file:
                whole = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
                assert not any(whole[::4096])
            children = [os.fork() for _ in range(3)]
            time.sleep(0.5)
            if 0 in children:
                os._exit(0)
            print("held", len(held))
    """)
    way()
    order = project.order("reserve", (), {"path": str(project.root / "file")})
    project.call(order, memory=320 << 20)  # what is mapped counts where /tmp is in memory
    assert "held 104857600" in project.lines


def test_usage(project, way):
    project.steps(
        "def eat():\n    x = bytearray(300_000_000)\n    return sum(range(3_000_000)) and None\n"
    )
    way()
    usage = project.carry_out("eat").facts["usage"]
    assert 300_000_000 < usage["peak_memory"] < 1_500_000_000
    assert 0.01 < usage["cpu_seconds"] < 60
