"""Contracts of this repository itself: pins, workflows, architecture, size, pages, changes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from ruamel.yaml import YAML

from towpath.dependencies.module_search import loose_folders

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
CONSTRAINTS = sorted((ROOT / "constraints").glob("py3*.txt"))
SOURCES = sorted((ROOT / "src" / "towpath").rglob("*.py"))
PINNED = re.compile(r"[a-z0-9-]+==[0-9][\w.+!]*( ; [\w .'<>=!()]+)?")
USES = re.compile(r"uses: *([^\s#]+)(?: *# *(\S+))?")


def tracked() -> list[Path]:
    """The files that Git keeps here."""
    said = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    files = (ROOT / name for name in said.stdout.decode().split("\0") if name)
    return [file for file in files if file.is_file()]


def call(*words: str | Path, cwd: Path = ROOT) -> str:
    """What a tool of the environment says; it must agree."""
    tool = [BIN / words[0], *words[1:]]
    said = subprocess.run(tool, cwd=cwd, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout


def direct() -> Iterator[Requirement]:
    """All that pyproject.toml asks for, extras and groups too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = [project["project"]["dependencies"]]
    lists += project["project"]["optional-dependencies"].values()
    lists += project["dependency-groups"].values()
    return (Requirement(line) for lines in lists for line in lines)


def test_there_are_constraints_for_each_python() -> None:
    assert [path.stem for path in CONSTRAINTS] == ["py311", "py312", "py313"]


@pytest.mark.parametrize("path", CONSTRAINTS, ids=lambda path: path.stem)
def test_constraints_are_versions_and_nothing_else(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert [line for line in lines if not PINNED.fullmatch(line)] == []
    versions = {line.split("==")[0]: line.split("==")[1].split()[0] for line in lines}
    for asked in direct():
        name = asked.name.lower().replace("_", "-").replace(".", "-")
        assert asked.specifier.contains(versions[name]), f"{asked} is pinned to {versions[name]}"


def test_no_file_knows_the_machine_it_was_written_on() -> None:
    machine = re.compile(rb"/(?:work|root)/[a-z.]|/opt/(?:pypi|wheels)|\.pyenv")
    found = [file for file in tracked() if machine.search(file.read_bytes())]
    assert [str(file.relative_to(ROOT)) for file in found if file != Path(__file__)] == []


def workflows() -> list[Path]:
    """Those of this repository, and those that the templates give away."""
    return [file for file in tracked() if file.parent.parts[-2:] == (".github", "workflows")]


@pytest.mark.parametrize("path", workflows(), ids=lambda path: str(path.relative_to(ROOT)))
def test_actions_are_pinned_by_their_whole_digest(path: Path) -> None:
    text = path.read_text()
    for action, release in USES.findall(text):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r"v\d+(\.\d+)*", release), f"{action} does not say its release"
    assert re.search(r"^permissions:\n  contents: read$", text, re.MULTILINE)
    assert "concurrency:" in text and "timeout-minutes:" in text and "persist-credentials:" in text


def test_workflows_are_sound() -> None:
    ours = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    call("actionlint", "-shellcheck=", "-pyflakes=", *ours)
    call("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *ours)
    call("zizmor", "--offline", "--no-progress", "--min-severity", "low", ROOT / ".github")


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("dependabot", "dependabot.yml"),
        ("github-issue-config", "ISSUE_TEMPLATE/config.yml"),
        ("github-issue-forms", "ISSUE_TEMPLATE/[!c]*.yml"),
    ],
)
def test_what_the_forge_reads_is_in_its_form(schema: str, pattern: str) -> None:
    files = sorted((ROOT / ".github").glob(pattern))
    call("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)


def test_commits_are_checked_by_what_the_environment_holds() -> None:
    call("pre-commit", "validate-config", ROOT / ".pre-commit-config.yaml")
    config = YAML(typ="safe").load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repo["repo"] for repo in config["repos"]] == ["local"], "nothing is downloaded"
    hooks = [hook["entry"].split() for hook in config["repos"][0]["hooks"]]
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    assert {Path(hook[0]).name for hook in hooks} == set(re.findall(r"\$\(BIN\)/(\S+)", lint))


FRAGMENT = re.compile(r"(\d+|\+[a-z][a-z0-9-]*)\.(added|changed|fixed|removed|security)\.md")


def test_changes_that_users_see_are_told_in_sentences() -> None:
    fragments = [file for file in (ROOT / "changelog.d").iterdir() if file.name != ".gitignore"]
    assert [file.name for file in fragments if not FRAGMENT.fullmatch(file.name)] == []
    draft = call("towncrier", "build", "--draft", "--version", "9.9.9")
    for file in fragments:
        text = file.read_text()
        assert re.fullmatch(r"(`|[A-Z])[^\n]*\.\n", text), f"{file.name} is no line of sentences"
        assert text.strip() in draft, f"{file.name} is not in the next release"


def test_ci_at_home_and_on_the_forge_are_one_thing() -> None:
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert re.findall(r"- run: (.*)", workflow) == [".ci/run", "make coverage"]
    assert "make lint test" in (ROOT / ".ci" / "run").read_text()


def test_the_architecture_holds() -> None:
    call("lint-imports", "--no-cache")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_one_subject_and_functions_are_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 600
    tree = ast.parse(text)
    assert ast.get_docstring(tree) or not tree.body, "a module says what it is for"
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions if f.end_lineno}
    assert {name: lines for name, lines in long.items() if lines > 45} == {}


def test_the_front_page_begins_with_the_two_commands_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    assert re.search(r"```\w*\n.*make demo.*\n.*make test.*\n", text[:1200])
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
        assert [link for link in links if not (page.parent / link).exists()] == [], page


def test_make_lists_what_the_front_page_names() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"make (\w+)", said.stdout))
    named = set(re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= named <= listed
    told = set(re.findall(r"`make (\w+)|^make (\w+)", CONTRIBUTING.read_text(), re.MULTILINE))
    assert {"".join(name) for name in told} <= listed


def test_the_page_for_contributors_names_tests_and_tools_that_are_there() -> None:
    text = CONTRIBUTING.read_text()
    tests = re.findall(r"\btests/[\w/]+(?:\.py)?", text)
    assert [name for name in tests if not (ROOT / name).exists()] == []
    tools = re.findall(r"\.venv/bin/([\w-]+)", text)
    assert [name for name in tools if not (BIN / name).exists()] == []


def test_a_python_that_will_not_do_is_refused_in_words(tmp_path: Path) -> None:
    call = ["make", f"VENV={tmp_path / 'venv'}", f"{tmp_path / 'venv'}/.created"]
    for python, words in (("/bin/false", "is not Python 3.11"), ("", "none was found")):
        said = subprocess.run([*call, f"PYTHON={python}"], cwd=ROOT, capture_output=True, text=True)
        assert said.returncode != 0
        assert words in said.stderr
    assert not (tmp_path / "venv").exists()


def test_every_room_stands_in_a_layer() -> None:
    """import-linter's own ``exhaustive`` knows one level; `backends` and `delivery` have two."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (layers,) = (one["layers"] for one in settings["contracts"] if one["id"] == "layers")
    layered = {room.strip() for layer in layers for room in layer.split("|")}
    package = ROOT / "src" / "towpath"
    parts = [package, package / "backends", package / "delivery"]
    files = [path for part in parts for path in part.iterdir() if path not in parts]
    rooms = {path.relative_to(package.parent).with_suffix("") for path in files if is_python(path)}
    dotted = {".".join(room.parts) for room in rooms}
    assert dotted - {"towpath.__init__", "towpath.__main__"} == layered


def test_code_under_test_could_import_nothing_of_this_repository() -> None:
    """It would be read, and imported, by each run of dynamic code. No folder of tests is a package:
    pytest puts the folder above one onto the path again as its first test is set up."""
    assert list((ROOT / "tests").glob("*/__init__.py")) == []
    assert [folder for folder in loose_folders() if Path(folder).is_relative_to(ROOT)] == []


def is_python(path: Path) -> bool:
    return (path / "__init__.py").is_file() or (path.suffix == ".py" and path.stem != "__init__")
