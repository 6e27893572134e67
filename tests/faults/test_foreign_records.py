"""Versions, tags and runs that somebody made by hand: a finding about that one thing, no more.

Mallory may push tags. Whatever hers say, no command ends as a bug of ours, the versions of others
are shown as before, and ``verify`` goes on behind hers.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typed_calls import typed

from own_home import CopyWorld
from promotion_project import Project, begin
from towpath import documents, registry
from towpath.config.foreign_values import parse_json
from towpath.errors import RegistryError, TowpathError
from towpath.registry import VersionNumber, stage_tags, tag_message, version_record
from towpath.registry.registry_state import read_models

YEAR_2099 = 4_070_908_800


def build(folder: Path) -> None:
    begin(folder / "abalone", "name: abalone\nstages: {dev: {}, prod: {}}\n").register()


@pytest.fixture
def project(tmp_path: Path, copy_world: CopyWorld) -> Project:
    """One honest version of one model."""
    copy_world(build, tmp_path)
    return Project(tmp_path / "abalone")


def forge(
    project: Project,
    change: Callable[[dict[str, Any]], object],
    version: str = "v1.1.0",
    model: str = "abalone",
    date: int | None = None,
) -> None:
    """A version whose record is the honest one's but for a change, tagged as Towpath tags."""
    honest = registry.get_version(project.repository, "abalone@v1.0.0").record
    document = {**version_record.record_document(honest), "version": version, "model": model}
    change(document)
    project.git("checkout", "-q", "--detach", "main")
    path = f"registry/models/{model}/{version}.yaml"
    project.commit({path: json.dumps(document)}, "by hand")
    message = (
        f"by "
        f"hand\n\n{tag_message.MARK}{tag_message.json_line(tag_message.summarise_record(honest))}"
    )
    tag(project, f"{model}@{version}", message, date)
    project.git("checkout", "-q", "main")


def tag(project: Project, name: str, message: str, date: int | None = None) -> None:
    """An annotated tag on what is checked out, with this date."""
    (project.root / ".git" / "message").write_text(message)
    when = f"@{date} +0000" if date else ""
    os.environ.update({"GIT_COMMITTER_DATE": when} if when else {})
    try:
        project.git("tag", "-a", name, "-F", ".git/message")
    finally:
        os.environ.pop("GIT_COMMITTER_DATE", None)


def _set(*keys: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        *above, last = keys
        for key in above:
            document = document[key]
        document[last] = to

    return change


BROKEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "metrics: 3": _set("metrics", to=3),
    "metrics: [1]": _set("metrics", to=[1]),
    "parameters: x": _set("parameters", to="x"),
    "labels: 3": _set("labels", to={"a": 3}),
    "data: x": _set("data", to="x"),
    "data is no digest": _set("data", to={"raw": "../../x"}),
    "packages: 3": _set("packages", to={"pandas": 3}),
    "author: 3": _set("author", to=3),
    "time: 3": _set("time", to=3),
    "time without end": _set("time", to="99999-01-01T00:00:00Z"),
    "description: []": _set("description", to=[]),
    "bump: x": _set("bump", to="x"),
    "bump.reason: 3": _set("bump", to={"level": "major", "reason": 3}),
    "signature: 3": _set("signature", to=3),
    "signature.inputs: [3]": _set("signature", to={"inputs": [3]}),
    "signature.features: x": _set("signature", to={"features": "x"}),
    "pipeline: 3": _set("pipeline", to=3),
    "pipeline.name leads out": _set("pipeline", to={"name": "../../x"}),
    "run: 3": _set("run", to=3),
    "code: 3": _set("code", to=3),
    "code.commit: --output=x": _set("code", "commit", to="--output=x"),
    "code.digests: 3": _set("code", "digests", to=3),
    "artifact: 3": _set("artifact", to=3),
    "md5 is a path": _set("artifact", "md5", to="../../../home/u/file"),
    "md5 is upper case": _set("artifact", "md5", to="A" * 32),
    "sha256: 3": _set("artifact", "sha256", to=3),
    "size: -1": _set("artifact", "size", to=-1),
    "size: x": _set("artifact", "size", to="x"),
    "size: true": _set("artifact", "size", to=True),
    "files: x": _set("artifact", "files", to="x"),
    "path leads out": _set("artifact", "path", to="../../x"),
    "path is absolute": _set("artifact", "path", to="/etc/passwd"),
    "path in .git": _set("artifact", "path", to=".git/config"),
    "kind: 3": _set("artifact", "kind", to=3),
    "key: 3": _set("key", to=3),
    "model of another": _set("model", to="other"),
    "model leads out": _set("model", to="../../x"),
    "version of another": _set("version", to="v9.0.0"),
    "version: 3": _set("version", to=3),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_record_is_refused_where_it_is_read(project: Project, what: str) -> None:
    forge(project, BROKEN[what])
    with pytest.raises(RegistryError) as refused:
        registry.get_version(project.repository, "abalone@v1.1.0")
    assert "abalone@v1.1.0:registry/models/abalone/v1.1.0.yaml" in str(refused.value)
    assert registry.get_version(project.repository, "abalone@v1.0.0").record.metrics


@pytest.mark.parametrize("what", ["metrics: 3", "md5 is a path", "signature.inputs: [3]"])
def test_no_command_ends_as_a_bug_and_the_others_are_shown(project: Project, what: str) -> None:
    forge(project, BROKEN[what])
    for words in (
        ("show", "abalone@v1.1.0"),
        ("show", "abalone@v1.1.0", "--json"),
        ("compare", "abalone@v1.0.0", "abalone@v1.1.0"),
        ("lineage", "abalone@v1.1.0"),
        ("promote", "abalone@v1.1.0", "--to", "dev"),
        ("transform", "abalone@v1.1.0", "--data", "towpath.yaml", "--output", "x.csv"),
        ("reproduce", "abalone@v1.1.0"),
    ):
        said = typed(project.root, *words)
        assert said.exit_code in (1, 2), (words, said.output)
        if words[0] != "transform":
            assert "v1.1.0.yaml" in said.output, words
    for words in (("models",), ("search", "metrics.mse < 5"), ("show", "abalone@v1.0.0")):
        said = typed(project.root, *words)
        assert said.exit_code == 0, said.output
        assert "abalone@v1.0.0" in said.output


def test_verify_lists_it_and_goes_on(project: Project) -> None:
    """Behind the broken one there is another that is wrong: both are told."""
    forge(project, BROKEN["metrics: 3"], "v1.1.0")
    forge(project, _set("metrics", to={"mse": 0.1}), "v1.2.0")
    said = typed(project.root, "verify", "--offline", "--json")
    assert said.exit_code == 3, said.output
    findings = json.loads(said.stdout)["verification"]["findings"]
    found = {(one["place"]["file"].split(" ")[0], one["what"]) for one in findings}
    assert ("abalone@v1.2.0", "its tag says otherwise than its record in metrics") in found
    (damaged,) = [what for place, what in found if place.endswith("/v1.1.0.yaml")]
    assert "`metrics`: `3` is not a mapping" in damaged


def test_a_new_version_gets_its_number_behind_a_broken_one(project: Project) -> None:
    forge(project, BROKEN["metrics: 3"])
    assert project.register("second").version == VersionNumber(1, 2, 0)


SHIFTING = [
    '{"a":1},{"metrics":{"mse":0.001}}',
    '{"b":"',
    '"}',
    '{"c":1}],[{"d":1}',
    "{},{}",
    "",
    '{"metrics":{"mse":1e999}}',
    '{"metrics":{"mse":NaN},"size":-1,"md5":"../x","code":"--x","sha256":3,"key":"../.."}',
    '{"params":{"a":' + "1" * 400 + "}}",
    '{"author":"\\ud800"}',
    '{"metrics":3,"data":[1],"params":"x","labels":{"a":[]}}',
]


def test_tags_made_by_hand_shift_nothing_of_what_is_said_of_others(project: Project) -> None:
    for number in range(2, 5):
        project.register(f"key{number}", metrics={"mse": float(number)})
    before = {str(v): dict(v.summary) for v in read_models(project.repository)["abalone"].versions}
    for number, last in enumerate(SHIFTING):
        tag(project, f"abalone@v0.{number}.0", f"by hand\n\n{tag_message.MARK}{last}")
        tag(project, f"zebra@v1.{number}.0", f"by hand\n\n{tag_message.MARK}{last}")
    said = typed(project.root, "search", "metrics.mse < 100", "--json")
    assert said.exit_code == 0, said.output
    found = {
        v["model"] + "@" + v["version"]: v["metrics"] for v in json.loads(said.stdout)["versions"]
    }
    honest = {name: summary["metrics"] for name, summary in before.items()}
    assert {name: found[name] for name in honest} == honest
    after = {str(v): dict(v.summary) for v in read_models(project.repository)["abalone"].versions}
    assert {name: after[name] for name in before} == before
    assert len(honest) == 4
    assert typed(project.root, "models").exit_code == 0
    assert typed(project.root, "models", "--json").exit_code == 0
    for name in after:
        said = typed(project.root, "show", name)
        assert said.exit_code == (0 if name in before else 1), said.output


def test_facts_of_a_tag_are_of_their_type() -> None:
    for number, last in enumerate(SHIFTING):
        summary = tag_message.parse_summary(f"x\n\n{tag_message.MARK}{last}")
        assert "md5" not in summary and "sha256" not in summary, number
        assert summary.get("metrics", {}) == {}
        json.dumps(summary, ensure_ascii=False).encode()


def test_a_tag_of_2099_makes_no_later_one_of_2099(project: Project) -> None:
    forge(project, lambda _: None, date=YEAR_2099)
    project.git("checkout", "-q", "--detach", "abalone@v1.0.0")
    tag(project, "abalone#dev#9", "by hand", YEAR_2099 + 5)
    project.git("checkout", "-q", "main")
    name = f"abalone@{project.register('later').version}"
    assert abs(registry.find_version(project.repository, name).time - time.time()) < 600
    registry.reject_version(project.repository, name, "leaked labels")
    assert registry.find_version(project.repository, name).rejected == "leaked labels"
    dates = project.git("for-each-ref", "--format=%(taggerdate:unix)").split()
    assert sum(int(date) >= YEAR_2099 for date in dates) == 2
    said = typed(project.root, "verify", "--offline")
    assert said.exit_code == 3
    assert "it is dated 2099-01-01" in said.output


def test_what_is_written_today_counts_over_a_stage_tag_of_2099(project: Project) -> None:
    """And deleting it leaves nothing behind: what was written meanwhile has its own date."""
    number = project.register("second").version
    second = registry.find_version(project.repository, f"abalone@{number}")
    project.git("checkout", "-q", "--detach", "abalone@v1.0.0")
    tag(project, "abalone#dev#7", "by hand", YEAR_2099)
    project.git("checkout", "-q", "main")
    assert stage_tags.read_current_tags(project.repository, "dev") == {}
    stage_tags.write_stage_tag(project.repository, second, "dev", "enters")
    now = stage_tags.read_current_tags(project.repository, "dev")["abalone"]
    assert now.commit == second.commit
    assert abs(now.tag.time - time.time()) < 600
    project.git("tag", "-d", "abalone#dev#7")
    assert (
        stage_tags.read_current_tags(project.repository, "dev")["abalone"].commit == second.commit
    )


@pytest.mark.parametrize("date", [0, 99_999_999_999, 253_402_300_800])
def test_a_date_that_no_calendar_has(project: Project, date: int) -> None:
    forge(project, lambda _: None, date=date or None)
    for words in (
        ("models",),
        ("models", "--json"),
        ("history", "abalone"),
        ("verify", "--offline"),
    ):
        assert typed(project.root, *words).exit_code in (0, 3), words


@pytest.mark.parametrize(
    "name", ["abalone@v" + "9" * 200 + ".0.0", "abalone#dev#" + "9" * 200, "abalone@v٣.0.0"]
)
def test_a_number_without_end_is_no_version(project: Project, name: str) -> None:
    tag(project, name, "by hand")
    assert typed(project.root, "models").exit_code == 0
    assert project.register("second").version == VersionNumber(1, 0, 1)


STAGE_FILES = {
    "no mapping": "- 3\n",
    "a version that is none": "model: abalone\nversion: 3\nsha256: x\n",
    "a version of another script": f"model: abalone\nversion: v٣.0.0\nsha256: {'ab' * 32}\n",
    "a list for a digest": "model: abalone\nversion: v1.0.0\nsha256: [1]\n",
    "what it replaces": f"model: abalone\nversion: v1.0.0\nsha256: {'ab' * 32}\nreplaces: ../x\n",
    "bytes": "\x00\x01",
    "another key": f"model: abalone\nversion: v1.0.0\nsha256: {'ab' * 32}\nrun: x\n",
}


@pytest.mark.parametrize("what", STAGE_FILES)
def test_a_stage_file_that_is_none_is_a_finding_and_hides_no_other(
    project: Project, what: str
) -> None:
    good = registry.get_version(project.repository, "abalone@v1.0.0").record
    right = f"model: abalone\nversion: v1.0.0\nsha256: {good.sha256}\n"
    files: dict[str, str | None] = {
        "registry/stages/dev/abalone.yaml": STAGE_FILES[what],
        "registry/stages/prod/abalone.yaml": right,
    }
    project.commit(files)
    found = registry.read_stage_files(project.repository)
    assert [(one.stage, str(one.version)) for one in found.wanted] == [("prod", "v1.0.0")]
    assert [fault.place.file for fault in found.faults if fault.place] == list(files)[:1]
    for line in ("models", "show abalone#prod", "verify --offline", "history abalone"):
        words = line.split()
        assert typed(project.root, *words).exit_code in (0, 3), words
    assert typed(project.root, "show", "abalone#dev").exit_code == 1


def test_documents_without_end_are_refused() -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000, "9" * 100_000):
        with pytest.raises(TowpathError) as refused:
            parse_json(text)
        assert refused.value.exit_code == 1
    assert documents.parse_yaml("a: " + "9" * 300, "x").faults
    assert documents.parse_yaml("a: 0x" + "f" * 300, "x").faults
