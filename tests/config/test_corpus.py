"""Bad declarations, each beside the whole of what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from towpath.config.pipeline_file import parse_pipeline
from towpath.config.project_declaration import parse_project
from towpath.errors import DeclarationError, Fault
from towpath.pipeline.compile_graph import resolve_pipeline

CORPUS = Path(__file__).parent / "corpus"
CASES = sorted(CORPUS.glob("*.yaml"))


def faults_of(case: Path) -> tuple[Fault, ...]:
    text = case.read_text(encoding="utf-8")
    if not case.name.startswith("project_"):
        return resolve_pipeline(parse_pipeline(text, "flows/pipeline/pipeline.yaml")).faults
    with pytest.raises(DeclarationError) as raised:
        parse_project(text)
    return raised.value.faults


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_says_all_that_is_wrong_and_where(case: Path) -> None:
    said = "".join(f"{fault}\n" for fault in faults_of(case))
    assert said == case.with_suffix(".txt").read_text(encoding="utf-8")
    assert said, "a case of the corpus is bad input"


def test_every_message_has_its_document() -> None:
    assert {case.stem for case in CASES} == {text.stem for text in CORPUS.glob("*.txt")}
