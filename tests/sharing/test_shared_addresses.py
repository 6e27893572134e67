"""Addresses of repositories and stores, as a shared registry keeps and compares them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from running import Project, make
from towpath.backends.dvc.dvc_config import DvcConfig, RemoteConfig, shared_remote
from towpath.backends.git import remotes
from towpath.credentials import hide_credentials
from towpath.errors import StoreError
from towpath.registry import shared_registry

S3 = """\
# a comment
[core]
    remote = store
    analytics = false
['remote "store"']
    url = "s3://bucket/path"
    endpointurl = https://s3.example.org
    access_key_id = AKIA
    secret_access_key = hidden
    password = hidden
[remote "other"]
    url = /elsewhere
"""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://github.com/acme/abalone", "git@github.com:acme/abalone.git", True),
        ("https://a:b@GitHub.com/acme/abalone.git/", "ssh://git@github.com/acme/abalone", True),
        ("file:///srv/abalone.git", "/srv/abalone", True),
        ("https://github.com/acme/abalone", "https://github.com/acme/shells", False),
        ("https://github.com/acme/abalone", "https://gitlab.com/acme/abalone", False),
        ("https://github.com/acme/Abalone", "https://github.com/acme/abalone", False),
    ],
)  # fmt: skip
def test_one_repository_by_two_addresses(one: str, other: str, same: bool) -> None:
    assert remotes.is_same_repository(one, other) is same


def test_what_is_shown_has_no_credentials() -> None:
    assert hide_credentials("https://ada:secret@github.com/a/b") == "https://github.com/a/b"
    assert hide_credentials("https://token@github.com/a/b") == "https://github.com/a/b"
    assert hide_credentials("git@github.com:a/b.git") == "git@github.com:a/b.git"


def test_paths_are_taken_from_the_project(tmp_path: Path) -> None:
    assert shared_registry.registry_address("../models", tmp_path / "abalone") == str(
        tmp_path / "models"
    )
    assert (
        shared_registry.registry_address("git@github.com:a/b.git", tmp_path)
        == "git@github.com:a/b.git"
    )
    first, other = (
        shared_registry.clone_folder(f"https://x.org/{a}/models.git", tmp_path) for a in "ab"
    )
    assert first != other and first.name.startswith("models-")


def test_only_the_address_of_a_store_is_for_others() -> None:
    found = DvcConfig.parse_text(S3).default_remote()
    assert found == RemoteConfig(
        "store", {"url": "s3://bucket/path", "endpointurl": "https://s3.example.org"}
    )
    whole = DvcConfig.parse_text("[core]\n    autostage = true\n").with_remote(found)
    again = DvcConfig.parse_text(str(whole))
    assert again.default_remote() == found
    assert again.sections["core"] == {"autostage": "true", "remote": "store"}
    assert "hidden" not in str(again) and "AKIA" not in str(again)
    with pytest.raises(StoreError, match="cannot be read"):
        DvcConfig.parse_text("no section = 1")
    for section in ("[remote store]", "['remote \"store']", "['remote']"):
        with pytest.raises(StoreError, match="is no remote"):
            DvcConfig.parse_text(f"{section}\n    url = s3://bucket/path\n")


def test_a_folder_becomes_absolute_and_none_is_none(tmp_path: Path) -> None:
    said = "[core]\n    remote = a\n['remote \"a\"']\n    url = ../../there\n"
    project = make(tmp_path / "project", {".dvc/config": said})
    found = shared_remote(project.root)
    assert found and found.settings["url"] == str(tmp_path / "there")
    assert shared_remote(make(tmp_path / "other").root) is None


def test_who_commits_in_the_clone_is_who_commits_in_the_project(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.write("towpath.yaml", "name: a\nregistry: ../models.git\n")
    project.git("init", "-q")
    project.git("config", "user.name", "Grace Hopper")
    project.git("config", "http.extraHeader", "Authorization: secret")
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "models.git")], check=True)
    clone = project.workspace.registry_at_hand
    assert clone.bare and clone.root.is_relative_to(project.root / ".towpath" / "registry")
    assert clone.read_identity().name == "Grace Hopper"
    assert "secret" not in (clone.root / "config").read_text()
