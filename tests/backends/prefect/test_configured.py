"""Towpath reads Prefect's configuration as Prefect does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from towpath.backends.prefect import server
from towpath.backends.prefect.server import remote_api
from towpath.errors import DeclarationError

ENV, DOT, TOML, PYPROJECT, PROFILE = (f"http://{name}.example/api" for name in "edtpr")

FILES = {
    ".env": f'PREFECT_API_URL={ENV}\nexport PREFECT_API_URL="{DOT}"\n',
    ".env.empty": f"PREFECT_API_URL={DOT}\nPREFECT_API_URL=\n",
    "prefect.toml": f'# {TOML}\n[server]\nlogging_level = "INFO"\n[api]\nurl = "{TOML}"\n',
    "pyproject.toml": f'[project]\nname = "x"\n[tool.prefect.api]\nurl = "{PYPROJECT}"\n',
    "profiles.toml": f'active = "work"\n[profiles.spare]\nPREFECT_API_URL = "{PROFILE}"\n'
    f'[profiles.work]\nPREFECT_API_URL = "{PROFILE}"\n[profiles.home]\n',
}

ALL = [name for name in FILES if not name.endswith(".empty")]

CASES: dict[str, tuple[list[str], dict[str, str], str | None, str | None]] = {
    "nothing": ([], {}, None, None),
    "environment": (ALL, {"PREFECT_API_URL": ENV}, ENV, "environment variable"),
    "hidden": (ALL, {"PREFECT_API_URL": ""}, None, None),
    "dotenv": (ALL, {}, DOT, ".env:2"),
    "empty dotenv": ([".env.empty", "prefect.toml"], {}, None, None),
    "toml": (["prefect.toml", "pyproject.toml", "profiles.toml"], {}, TOML, "prefect.toml:5"),
    "pyproject": (["pyproject.toml", "profiles.toml"], {}, PYPROJECT, "pyproject.toml:4"),
    "profile": (["profiles.toml"], {}, PROFILE, "Prefect profile `work`"),
    "other profile": (["profiles.toml"], {"PREFECT_PROFILE": "home"}, None, None),
}

PLACES = {"dotenv": 2, "toml": 5, "pyproject": 4, "profile": 5}

ASK_PREFECT = """
import json, os, sys
from prefect.settings import Settings
for case in json.load(sys.stdin):
    os.chdir(case["folder"])
    os.environ.pop("PREFECT_PROFILE", None)
    os.environ.pop("PREFECT_API_URL", None)
    os.environ.update(case["environment"])
    print(json.dumps(Settings().api.url or None))
"""


def lay_out(folder: Path, files: list[str]) -> None:
    folder.mkdir()
    for name in files:
        (folder / name.removesuffix(".empty")).write_text(FILES[name])


@pytest.mark.parametrize("case", CASES)
def test_finds_the_api_and_says_where(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, environment, url, origin = CASES[case]
    lay_out(tmp_path / "project", files)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "project"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = remote_api.find_configured_api(tmp_path / "project")
    assert (found.url if found else None) == url
    assert not found or found.origin.startswith(str(origin))
    assert (found.place.line if found and found.place else None) == PLACES.get(case)


def test_prefect_finds_the_same(tmp_path: Path) -> None:
    asked = []
    for name, (files, environment, _, _) in CASES.items():
        folder = tmp_path / name
        lay_out(folder, files)
        profiles = {"PREFECT_PROFILES_PATH": str(folder / "profiles.toml")}
        asked.append({"folder": str(folder), "environment": environment | profiles})
    command = [sys.executable, "-c", ASK_PREFECT]
    told = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    answers = [json.loads(line) for line in told.stdout.splitlines()]
    assert answers == [url for _, _, url, _ in CASES.values()]


def test_what_up_wrote_is_not_the_users(tmp_path: Path) -> None:
    (tmp_path / "prefect.toml").write_text(f'{remote_api.OURS}\n[api]\nurl = "{TOML}"\n')
    assert remote_api.find_configured_api(tmp_path) is None


def test_what_a_run_set_for_itself_is_not_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path / "project", ["prefect.toml"])
    for name in (remote_api.KEY, remote_api.SET_BY_US):
        monkeypatch.setenv(name, ENV)
    for name in (remote_api.AUTH, remote_api.AUTH_SET_BY_US):
        monkeypatch.setenv(name, "towpath:secret")
    found = remote_api.find_configured_api(tmp_path / "project")
    assert found
    assert found.url == TOML
    server.begin_api(tmp_path / "project")
    assert remote_api.AUTH not in os.environ, "it is not for an API of the user's own"


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    (tmp_path / "prefect.toml").write_text("[api\n")
    with pytest.raises(DeclarationError, match=r"prefect\.toml: no valid TOML"):
        remote_api.find_configured_api(tmp_path)


def test_reading_it_loads_no_prefect() -> None:
    code = (
        "import sys, towpath.backends.prefect.server.project_api; print('prefect' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, env=os.environ)
    assert told.stdout.strip() == b"False", told.stderr
