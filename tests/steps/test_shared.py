"""What steps of a run share: packages, and nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from towpath.steps import step_process

FOLDER = "flows/training"


@contextmanager
def served(project, *orders):
    """The supervisor of a run of these steps."""
    libraries = {order.step.run: order.libraries for order in orders}
    wanted = [SimpleNamespace(step=order.step, outputs=order.outputs) for order in orders]
    with step_process.warm_supervisor(project.root, FOLDER, wanted, libraries):
        yield


def seen(project, run, times=3, libraries=()):
    """What a step returns, carried out several times in one run."""
    orders = [project.order(run, ["out.json"], {"x": n}) for n in range(times)]
    orders = [replace(order, libraries=libraries) for order in orders]
    with served(project, *orders):
        return [project.call(order).values["out"] for order in orders]


@pytest.fixture(params=["1", "0"], ids=["forked", "spawned"])
def either_way(request, monkeypatch):
    """Forked, and started as a new Python as on macOS."""
    monkeypatch.setenv("TOWPATH_FORK", request.param)


def test_a_module_that_changes_others_changes_nothing_for_steps_that_do_not_import_it(project):
    project.write("moda.py", """
        import os, warnings
        import pandas as pd
        import modb

        modb.helper = lambda: "patched"
        modb.SEEN.append("moda")
        pd.set_option("display.max_rows", 7)
        os.environ["LEFT"] = "by moda"
        warnings.simplefilter("error")

        def f(x):
            return modb.g(x)
    """)  # fmt: skip
    project.write("modb.py", """
        import os, warnings
        import pandas as pd

        SEEN = []

        def helper():
            return "own"

        def g(x):
            warnings.warn("no error")
            return [helper(), SEEN, pd.get_option("display.max_rows"), os.environ.get("LEFT")]
    """)  # fmt: skip
    project.write("modc.py", "from moda import f\n\n\ndef h(x):\n    return 1\n")
    runs = ["modc:h", "moda:f", "modb:g"]
    given = [project.order(run, ["out.json"], {"x": n}) for n in range(2) for run in runs]
    orders = [replace(order, libraries=("pandas",)) for order in given]
    with served(project, *orders):
        for order in orders:
            if order.step.run == "moda:f":
                with pytest.raises(Exception, match="no error"):
                    project.call(order)
            elif order.step.run == "modb:g":
                assert project.call(order).values["out"] == ["own", [], 60, None]
            else:
                assert project.call(order).values["out"] == 1


def test_packages_are_there_before_a_step_s_module_is_imported(project):
    project.steps("""
        import sys

        HAD = [name for name in ("wave", "xmlrpc.client") if name in sys.modules]

        def look(x):
            return HAD
    """)
    assert seen(project, "look", 2, ("wave",)) == [["wave"]] * 2
    assert (
        seen(project, "look", 2, ("wave", "no_such_module", "xmlrpc.client"))
        == [["wave", "xmlrpc.client"]] * 2
    )


THREAD = """
    import threading

    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
COUNT = """
    import os, threading
    import threaded

    def count(x):
        return [threading.active_count(), os.getpid()]
"""


def test_a_module_that_starts_a_thread_is_imported_after_the_fork(project):
    project.write("threaded.py", THREAD)
    project.steps(COUNT)
    assert [threads for threads, _ in seen(project, "count")] == [2] * 3


def test_a_package_that_starts_a_thread_is_not_forked(project, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "env"))
    project.write("../env/threaded.py", THREAD)
    project.steps(COUNT)
    found = seen(project, "count", 6, ("threaded",))
    assert [threads for threads, _ in found] == [2] * 6, "that of its own import, and its first"
    assert len({process for _, process in found}) == 6


WRAPPED = """
    import sys

    class Wrapper:
        def __init__(self, stream): self.stream = stream
        def __getattr__(self, name): return getattr(self.stream, name)

    sys.stdout, sys.stderr = Wrapper(sys.stdout), Wrapper(sys.stderr)
"""


@pytest.mark.usefixtures("either_way")
def test_a_package_that_puts_its_own_before_what_is_printed(project, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "env"))
    project.write("../env/wrapped.py", WRAPPED)
    project.steps("import wrapped\n\ndef say(x):\n    print('said')\n    return x\n")
    assert seen(project, "say", 2, ("wrapped",)) == [0, 1]
    assert project.lines == ["said"] * 2


SEEDED = """
    import random
    import numpy as np

    random.seed(0)
    np.random.seed(0)

    def look(x):
        return [random.random(), float(np.random.random())]
"""


@pytest.mark.parametrize("libraries", [(), ("numpy",)])
@pytest.mark.usefixtures("either_way")
def test_a_seed_at_the_top_of_a_module_stands(project, libraries):
    project.steps(SEEDED)
    assert (
        seen(project, "look", 2, libraries) + seen(project, "look", 1, libraries)
        == [[0.8444218515250481, 0.5488135039273248]] * 3
    )


@pytest.mark.parametrize("libraries", [(), ("numpy",)])
@pytest.mark.usefixtures("either_way")
def test_without_a_seed_no_two_steps_draw_the_same(project, libraries):
    project.steps("\n".join(line for line in SEEDED.splitlines() if "seed" not in line))
    drawn = seen(project, "look", 2, libraries) + seen(project, "look", 1, libraries)
    assert len({number for pair in drawn for number in pair}) == 6


KEPT = {
    "a generator": "import random\nR = random.Random(0)\ndef keep(x): return R.random()",
    "a default": "def keep(x, seen=[]):\n    seen.append(x)\n    return len(seen)",
    "another module": "import beside\ndef keep(x):\n    beside.N += 1\n    return beside.N",
    "pandas": "import pandas as pd\ndef keep(x):\n    had = pd.get_option('display.max_rows')\n"
    "    pd.set_option('display.max_rows', 7)\n    return had",
    "warnings": "import warnings\ndef keep(x):\n    warnings.simplefilter('error', append=True)\n"
    "    return len(warnings.filters)",
}  # fmt: skip


@pytest.mark.parametrize("text", KEPT.values(), ids=list(KEPT))
def test_a_step_does_not_find_what_the_last_one_kept(project, text):
    project.write(f"{FOLDER}/beside.py", "N = 0\n")
    project.steps(text + "\n")
    assert len(set(seen(project, "keep"))) == 1


def test_a_file_that_a_module_reads_when_imported_counts_for_each_step(project, warm):
    project.write("version.txt", "1")
    project.steps("""
        with open("version.txt") as file:
            VERSION = file.read()
        del file

        def look(x):
            return VERSION
    """)
    warm()
    for n in range(3):
        made = project.carry_out("look", ["out.json"], {"x": n})
        assert made.facts["undeclared"] == ["version.txt"]
