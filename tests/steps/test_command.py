"""The kind `command`: programs of any language on files, as they are run and as they end."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest
from msgspec.structs import replace

from towpath.config.artifact import Made
from towpath.errors import StepFailed

TOTAL = """
    import json, sys
    from helpers import double
    rows = [int(word) for word in open(sys.argv[1]).read().split()]
    json.dump({"total": double(sum(rows)), "words": sys.argv[3:]}, open(sys.argv[2], "w"))
"""


def command(project, words: Any, outputs: Any = (), arguments: Any = None, **step: Any):
    given = arguments or {}
    named = {n: n for n, v in given.items() if hasattr(v, "digest")}
    return project.order(None, outputs, given, kind="command", command=words, inputs=named, **step)


def run(project, *args: Any, code: tuple[str, ...] = (), **step: Any) -> Made:
    order = command(project, *args, **step)
    return project.call(replace(order, code=(*order.code, *code)))


def failure(project, *args: Any, **step: Any) -> str:
    with pytest.raises(StepFailed) as raised:
        run(project, *args, **step)
    return "\n".join(map(str, raised.value.faults))


def test_names_are_paths_and_values_that_no_shell_reads(project, warm):
    project.write("scripts/helpers.py", "def double(x): return 2 * x\n")
    project.write("scripts/total.py", TOTAL)
    values = {"text": "a b; $HOME '\"", "n": 1e-3, "l": [1, "x y"], "yes": True, "none": None}
    values["raw"] = project.put("raw.txt", "1 2")
    warm()
    made = run(
        project, "python scripts/total.py {raw} {made} {text} {n} {l} --{yes} {none} '{{x}}'",
        {"made": "made.json"}, values, code=("scripts/total.py", "scripts/helpers.py"),
    )  # fmt: skip
    words = ["a b; $HOME '\"", "0.001", "1", "x y", "--true", "null", "{x}"]
    assert made.values["made"] == {"total": 6, "words": words}
    assert json.loads(project.read(made.outputs["made"])) == made.values["made"]
    assert made.outputs["made"].name == "made.json"
    assert "undeclared" not in made.facts
    assert project.lines[0].startswith("$ python scripts/total.py inputs/raw/raw.txt outputs/made")


def test_a_script_is_bashs_and_its_values_are_quoted(project, warm):
    warm()
    raw = project.put("raw.txt", "b\na\n")
    script = "sort < {raw} | head -n 1 > {out}\necho {evil} >> {out}"
    made = run(
        project, script, {"out": "o.txt"}, {"raw": raw, "evil": "$(touch x); '\" `id`"}, shell=True
    )
    assert project.read(made.outputs["out"]).decode() == "a\n$(touch x); '\" `id`\n"
    assert not (project.root / "x").exists()
    said = failure(project, "false | cat > {out}\ntrue", {"out": "o.txt"}, shell=True)
    assert said == "the command ended with 1, and printed nothing"


def test_folders_go_in_and_come_out(project, warm):
    warm()
    (project.root / "pictures" / "deep").mkdir(parents=True)
    (project.root / "pictures" / "deep" / "a.txt").write_text("a")
    pictures = project.store.put(project.root / "pictures")
    made = run(project, "cp -r {pictures} {out}", ["out/"], {"pictures": pictures})
    assert made.outputs["out"].files == 1
    made = run(project, "cp -r {pictures}/. {out}", ["out/"], {"pictures": pictures})
    assert made.outputs["out"].digest == pictures.digest


def test_how_it_ends_is_said_with_its_last_lines(project, warm):
    warm()
    said = failure(project, ["bash", "-c", "echo one; echo -e 'two\\e[31m' >&2; exit 3"])
    assert said == "the command ended with 3: one | two␛[31m"
    assert failure(project, ["bash", "-c", "kill -9 $$"]).startswith(
        "the command was killed by SIGKILL, and printed nothing (perhaps the machine ran out of"
    )
    said = failure(project, "pyhton x.py")
    assert said == "there is no program `pyhton` (did you mean `python`?)"
    project.write("run.sh", "echo")
    assert failure(project, "./run.sh") == "./run.sh may not be executed (`chmod +x ./run.sh`)"
    assert failure(project, "true {x}", (), {"x": "a\0b"}).startswith("the command cannot be run: ")
    assert failure(project, "true", workdir="nowhere") == (
        "there is no folder nowhere to run the command in"
    )


def test_an_output_that_is_not_written_is_said_as_for_a_function(project, warm):
    warm()
    assert failure(project, "true {out}", ["out.csv"]) == (
        "output `out`: the command wrote nothing at out.csv"
    )
    assert "the folder out/ is empty" in failure(project, "true {out}", ["out/"])
    assert failure(project, "true", ["out.csv"], places={"out": "data/o.csv"}) == (
        "output `out`: the command wrote nothing at data/o.csv"
    )
    said = failure(project, "cp {raw} {m}", {"m": "m.json"}, {"raw": project.put("m.json", "{'a'")})
    assert said.startswith("output `m`: m.json is no JSON document: ")


def test_an_attempt_begins_without_what_the_one_before_wrote(project, warm):
    warm()
    words = ["bash", "-c", 'test ! -s "$0" && echo half > "$0" && exit 5', "{out}"]
    order = command(project, words, ["out.txt"])
    for _ in range(2):
        with pytest.raises(StepFailed, match="ended with 5") as raised:
            project.call(order)
        assert raised.value.causes == ("CommandFailed", "Exit5")


def test_a_timeout_ends_all_that_it_started(project, warm):
    warm()
    mark = project.root / "alive"
    words = ["bash", "-c", f"(sleep 3; touch '{mark}') & sleep 30"]
    begun = time.monotonic()
    with pytest.raises(StepFailed, match=r"ran longer than its timeout of 0.5 s"):
        project.call(command(project, words), timeout=0.5)
    assert time.monotonic() - begun < 4
    time.sleep(max(0, begun + 3.6 - time.monotonic()))
    assert not mark.exists()


def test_with_places_it_has_what_it_declares_and_nothing_else(project, warm):
    project.write("src/train.py", """
        import json, os, yaml_like
        assert not os.path.exists("data/other.csv"), "it sees the project"
        values = yaml_like.read("params.yaml")
        open("models/m.txt", "w").write(open("data/raw.csv").read() + values)
        open("scores.json", "w").write(json.dumps({"f1": 1}))
    """)  # fmt: skip
    project.write("src/yaml_like.py", "def read(path): return open(path).read()\n")
    project.write("data/other.csv", "secret")
    project.write("models/m.txt", "the user's")
    project.write("params.yaml", "train: {lr: 9}\n")
    warm()
    made = run(
        project, "python src/train.py", {"model": "m.txt", "scores": "scores.json"},
        {"raw": project.put("raw.csv", "1,2\n"), "lr": 0.5},
        code=("src/train.py", "src/yaml_like.py"),
        params={"lr": "lr"}, settings={"params.yaml": {"train.lr": "lr"}},
        places={"raw": "data/raw.csv", "model": "models/m.txt", "scores": "scores.json"},
    )  # fmt: skip
    assert project.read(made.outputs["model"]).decode() == "1,2\ntrain:\n  lr: 0.5\n"
    assert made.values["scores"] == {"f1": 1}
    assert (project.root / "models/m.txt").read_text() == "the user's"
    assert "undeclared" not in made.facts


def test_what_a_python_program_reads_undeclared_is_noticed(project, warm):
    project.write("a.py", """
        import b, pathlib, subprocess, sys
        pathlib.Path("new.txt").write_text("its own"); pathlib.Path("new.txt").read_text()
        subprocess.run([sys.executable, "-c", "open('inner.txt')"], check=True)
        open("conf.yaml").read()
    """)  # fmt: skip
    for name in ("b.py", "conf.yaml", "inner.txt"):
        project.write(name, "")
    project.write("sitecustomize.py", "print('the one behind')\n")
    warm()
    made = run(project, "python a.py", code=("a.py",))
    assert sorted(made.facts["undeclared"]) == [
        "b.py",
        "conf.yaml",
        "inner.txt",
        "sitecustomize.py",
    ]
    assert "the one behind" in project.lines


def test_it_runs_in_the_project_with_its_environment_and_its_modules(project, warm, monkeypatch):
    project.write("src/leafnet/__init__.py", "")
    project.write(
        "src/leafnet/cli.py", "import os; print(os.getcwd(), os.environ['TOKEN'] == 'x')\n"
    )
    monkeypatch.setenv("TOKEN", "x")
    (project.root / "sub").mkdir()
    warm()
    run(project, "python -m leafnet.cli", code=("src/leafnet/cli.py",), workdir="sub")
    assert project.lines[1:] == [f"{os.path.realpath(project.root)}/sub True"]
    assert all("TOKEN" not in line for line in project.lines)
