"""Packages under `src/`: found by a step, its key and its process, installed or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from towpath.config.source_folders import module_folders
from towpath.dependencies import CodeReader
from towpath.errors import DeclarationError


def write(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def test_a_function_under_src_is_found_with_what_it_reaches(tmp_path: Path) -> None:
    write(
        tmp_path,
        src__leafnet__clean="from leafnet.helpers import half\ndef clean(raw): return half(raw)\n",
        src__leafnet__helpers="def half(raw): return raw / 2\ndef other(): return 1\n",
        flows__training__steps="from leafnet.clean import clean\ndef own(raw): return clean(raw)\n",
    )
    labels = CodeReader(tmp_path).digests("flows/training", "leafnet.clean:clean")
    assert list(labels) == ["leafnet.clean.clean", "leafnet.helpers.half"]
    assert set(labels) < set(CodeReader(tmp_path).digests("flows/training", "own"))
    assert CodeReader(tmp_path).source_files("flows/training", "own") == (
        "flows/training/steps.py",
        "src/leafnet/clean.py",
        "src/leafnet/helpers.py",
    )
    with pytest.raises(DeclarationError, match=r"no module `leafnet\.claen`"):
        CodeReader(tmp_path).step_signature("flows/training", "leafnet.claen:clean")


@pytest.mark.parametrize(
    ("files", "is_root"),
    [
        (["src/leafnet/__init__.py"], True),
        (["src/leafnet/clean.py"], True),
        (["src/train.py"], False),
        (["src/train.py", "pyproject.toml"], True),
        (["src/__init__.py", "src/leafnet/clean.py"], False),
        (["leafnet/clean.py"], False),
    ],
)
def test_when_src_is_looked_in(tmp_path: Path, files: list[str], is_root: bool) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    expected = (tmp_path, tmp_path / "src") if is_root else (tmp_path,)
    assert module_folders(tmp_path) == expected
