"""What a pushed `.dvc` file, `dvc.lock` or manifest may name: nothing outside of the project.

Each attack is carried out as a stranger would: a file in the project, bytes in the store, and
the command that a colleague types. What counts is what stands on the disk afterwards.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from towpath.backends.dvc import Store, initialise_store, tracked_files
from towpath.config.artifact import Artifact
from towpath.errors import Malformed, StoreError, TowpathError
from towpath.storage.verified_bytes import read_manifest

PAYLOAD = b"[core]\n\tfsmonitor = touch /tmp/owned\n"
DIGEST = hashlib.md5(PAYLOAD).hexdigest()
Plant = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SITE_CACHE_DIR", "GLOBAL_CONFIG_DIR", "SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(f"DVC_{name}", os.fspath(tmp_path / "dvc" / name.lower()))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose store holds the payload, beside a folder of somebody else's."""
    root = tmp_path / "home" / "project"
    (root / ".git" / "hooks").mkdir(parents=True)
    (root / ".git" / "config").write_text("[core]\n")
    (root / ".towpath" / "state").mkdir(parents=True)
    (root / "data").mkdir()
    outside = tmp_path / "home" / "outside"
    outside.mkdir()
    (outside / "file").write_text("theirs\n")
    initialise_store(root)
    Store(root).put_bytes(PAYLOAD, "payload")
    return root


def _state(project: Path) -> dict[str, bytes]:
    """Everything beside the project and in its reserved folders, but the store's own bytes."""
    home = project.parent
    files = (path for path in home.rglob("*") if path.is_file())
    kept = ("/.dvc/cache/", "/.dvc/tmp/", "/.towpath/state/digests.sqlite")
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in files
        if not any(part in str(path) for part in kept)
    }


def _pointer(path: str, wdir: str = "", digest: str = DIGEST) -> str:
    lines = [f"wdir: {json.dumps(wdir)}"] if wdir else []
    row = f'- md5: "{digest}"\n  size: {len(PAYLOAD)}\n  hash: md5\n  path: {json.dumps(path)}\n'
    return "\n".join([*lines, "outs:", row])


def _lock(path: str, digest: str = DIGEST) -> str:
    return (
        "schema: '2.0'\nstages:\n  make:\n    cmd: make\n    outs:\n"
        f"    - path: {json.dumps(path)}\n      hash: md5\n      md5: {digest}\n      size: 3\n"
    )


PLACES = {
    "absolute": ("{outside}/file", ""),
    "up": ("../outside/file", ""),
    "far up": ("../../../../../../../../tmp/towpath-was-here", ""),
    "through a folder": ("data/../../outside/file", ""),
    "by the working folder": ("file", "../outside"),
    "by an absolute working folder": ("file", "{outside}"),
    "a hook": (".git/hooks/post-checkout", ""),
    "a setting": (".git/config.worktree", ""),
    "a setting that is there": (".git/config", ""),
    "a setting on macOS": (".GIT/config", ""),
    "a setting unseen": (".g\u200cit/config", ""),
    "a setting on Windows": ("git~1/config", ""),
    "a submodule's setting": ("data/.git/config", ""),
    "a setting by the working folder": ("config", ".git"),
    "the store's setting": (".dvc/config", ""),
    "a run's record": (".towpath/runs/x/events.jsonl", ""),
    "the project itself": (".", ""),
    "the folder above": ("..", ""),
    "a line's end": ("data/x\ny", ""),
    "a NUL": ("data/x\0y", ""),
    "through a link": ("link/file", ""),
    "through a link to Git's": ("gitlink/config", ""),
    "onto a link": ("filelink", ""),
}


@pytest.mark.parametrize("attack", PLACES)
@pytest.mark.parametrize("kind", ["pointer", "pointer below", "lock"])
def test_nothing_is_written_outside_of_the_project(project: Path, attack: str, kind: str) -> None:
    path, wdir = (text.format(outside=project.parent / "outside") for text in PLACES[attack])
    (project / "link").symlink_to(project.parent / "outside")
    (project / "gitlink").symlink_to(".git")
    (project / "filelink").symlink_to(project.parent / "outside" / "file")
    if kind == "lock":
        file, said_by = "dvc.lock", "dvc.lock"
        text = _lock(path)
        if wdir:
            said_by = "dvc.yaml"
            declared = f"stages:\n  make:\n    cmd: make\n    wdir: {json.dumps(wdir)}\n"
            (project / "dvc.yaml").write_text(declared)
    elif kind == "pointer":
        file, text = "x.dvc", _pointer(path, wdir)
        said_by = file
    else:  # its paths start in its own folder
        file, said_by = "data/x.dvc", "data/x.dvc"
        text = _pointer(path, wdir and f"../{wdir}" if not wdir.startswith("/") else wdir)
        if not path.startswith("/") and not wdir:
            text = _pointer(f"../{path}")
    (project / file).write_text(text)
    (project / "good.csv.dvc").write_text(_pointer("good.csv"))
    before = _state(project)
    with pytest.raises(StoreError) as refused:
        tracked_files.place_tracked_data(project)
    assert refused.value.exit_code == 1
    (fault,) = refused.value.faults
    assert str(fault.place).startswith(said_by)
    if said_by != "dvc.yaml":
        assert fault.place is not None and fault.place.line > 0
    assert fault.hint
    after = _state(project)
    assert after.pop("project/good.csv") == PAYLOAD  # what is right is placed all the same
    assert after == before


@pytest.mark.parametrize(
    "digest",
    ["../../../home/u/file", "../" * 4 + "outside/file", "{outside}/file", "aa/../../x", "5" * 31],
)
@pytest.mark.parametrize("kind", ["pointer", "lock"])
def test_a_digest_that_is_a_path_touches_no_file(project: Path, digest: str, kind: str) -> None:
    """A read-only command renamed a user's file, which was not what its "digest" says."""
    digest = digest.format(outside=project.parent / "outside")
    text = (
        _pointer("victim.csv", digest=digest) if kind == "pointer" else _lock("victim.csv", digest)
    )
    (project / ("victim.csv.dvc" if kind == "pointer" else "dvc.lock")).write_text(text)
    before = _state(project)
    with pytest.raises(StoreError):
        tracked_files.place_tracked_data(project)
    if kind == "pointer":
        with pytest.raises(StoreError) as refused:
            tracked_files.find_tracked(project, Path("victim.csv"))
        assert str(refused.value.faults[0].place) == "victim.csv.dvc:2"
    else:
        with pytest.raises(StoreError):
            list(tracked_files.locked_outputs(project))
    assert _state(project) == before


@pytest.mark.parametrize("digest", ["../../x", "/etc/passwd", "A" * 32, "", "5" * 33, "\0" * 32])
def test_no_digest_becomes_a_file_name(project: Path, digest: str) -> None:
    """The last door: what makes a path of a digest looks at it."""
    store = Store(project)
    for ask in (store.path, store.has, store.objects.read, lambda d: store.copy_to(d, Path("x"))):
        with pytest.raises(TowpathError) as refused:
            ask(digest)
        assert refused.value.exit_code == 1
    with pytest.raises(Malformed):
        Artifact(digest, 0, "x")


ROWS = {
    "up": "../../x",
    "absolute": "/abs",
    "a setting": ".git/config",
    "through itself": "a/../../x",
    "a setting below": "a/.GIT/config",
    "a line's end": "a\nb",
    "empty": "",
    "a number": 3,
    "nothing": None,
}


@pytest.mark.parametrize("attack", ROWS)
def test_a_manifest_names_only_what_is_in_its_folder(project: Path, attack: str) -> None:
    rows = [{"md5": DIGEST, "relpath": ROWS[attack]}, {"md5": DIGEST, "relpath": "fine"}]
    _refuse_manifest(project, rows)


@pytest.mark.parametrize(
    "rows",
    [
        [{"md5": "../../../../outside/file", "relpath": "a"}],
        [{"md5": DIGEST, "relpath": "a"}, {"md5": DIGEST, "relpath": "a/b"}],
        [{"md5": DIGEST, "relpath": "a"}, {"md5": DIGEST, "relpath": "./a"}],
        [{"md5": f"{DIGEST}.dir", "relpath": "a"}],
        [{"md5": DIGEST}],
        ["a"],
        {"md5": DIGEST, "relpath": "a"},
        3,
    ],
)
def test_a_manifest_that_is_none_is_refused(project: Path, rows: object) -> None:
    _refuse_manifest(project, rows)


def _refuse_manifest(project: Path, rows: object) -> None:
    content = json.dumps(rows).encode()
    with pytest.raises(Malformed):
        read_manifest(content)
    digest = Store(project).objects.add_manifest(content)
    (project / "folder.dvc").write_text(_pointer("folder", digest=digest))
    before = _state(project)
    tracked_files.place_tracked_data(project)  # a folder whose manifest is none is not here
    assert not Store(project).has(digest)
    with pytest.raises(StoreError):
        Store(project).copy_to(digest, project / "folder")
    assert _state(project) == before


def test_a_pointer_in_a_linked_folder_is_not_followed(project: Path) -> None:
    elsewhere = project.parent / "outside"
    (elsewhere / "x.csv.dvc").write_text(_pointer("x.csv"))
    (project / "linked").symlink_to(elsewhere)
    before = _state(project)
    tracked_files.place_tracked_data(project)
    with pytest.raises(StoreError, match="through a link"):
        tracked_files.find_tracked(project, Path("linked/x.csv"))
    assert _state(project) == before


def test_a_pointer_may_use_its_working_folder_and_folders_of_the_project(project: Path) -> None:
    """What DVC users do: a pointer below that names its neighbour, and a link within."""
    (project / "data" / "sub").mkdir()
    (project / "data" / "sub" / "x.dvc").write_text(_pointer("../raw.csv"))
    (project / "data" / "y.dvc").write_text(_pointer("other.csv", wdir=".."))
    (project / "real").mkdir()
    (project / "near").symlink_to("real")
    (project / "z.dvc").write_text(_pointer("near/z.csv"))
    assert tracked_files.place_tracked_data(project) == ()
    for name in ("data/raw.csv", "other.csv", "real/z.csv"):
        assert (project / name).read_bytes() == PAYLOAD


def test_a_link_into_the_cache_is_replaced(project: Path) -> None:
    """DVC's `cache.type symlink` puts such links there."""
    other = Store(project).put_bytes(b"older\n", "older")
    (project / "x.csv").symlink_to(Store(project).path(other.digest))
    (project / "x.csv.dvc").write_text(_pointer("x.csv"))
    tracked_files.place_tracked_data(project)
    assert not (project / "x.csv").is_symlink()
    assert (project / "x.csv").read_bytes() == PAYLOAD
    assert Store(project).path(other.digest).read_bytes() == b"older\n"


OBEYED = [
    ".gitmodules", ".gitattributes", "data/.gitattributes", ".gitignore", ".GitIgnore", ".env",
    ".env.local", ".github/workflows/ci.yml", ".github", ".vscode/tasks.json", ".venv/bin/python",
    "prefect.toml", "Prefect.TOML", "prefect.yaml", "towpath.yaml", "pyproject.toml", "Makefile",
    "dvc.yaml", "CODEOWNERS", "requirements.txt", "registry/stages/prod/abalone.yaml",
    "registry/allowed_signers", "conftest.py", "sitecustomize.py", "pandas.py", "evil.pth",
    "src/abalone/steps.py", "flows/training/steps.py", "flows/new/pipeline.yaml",
    "tests/conftest.py", "pyproject\u200c.toml",
]  # fmt: skip
SOUND = [
    "abalone.csv", "data/abalone.csv", "data/code/conftest.py", "data/pyproject.toml",
    "models/export.py", "flows/training/expected.parquet", "src/abalone/table.csv",
    "registry.csv", "registry/pictures", "artifacts/model.skops", "github/x", "params.json",
]  # fmt: skip


@pytest.mark.parametrize("path", OBEYED)
def test_no_pointer_writes_what_a_tool_obeys(project: Path, path: str) -> None:
    (project / "x.dvc").write_text(_pointer(path))
    (project / "good.csv.dvc").write_text(_pointer("good.csv"))
    before = _state(project)
    with pytest.raises(StoreError) as refused:
        tracked_files.place_tracked_data(project)
    (fault,) = refused.value.faults
    assert str(fault.place) == "x.dvc:2"
    assert "no data" in fault.what
    assert fault.hint
    after = _state(project)
    assert after.pop("project/good.csv") == PAYLOAD
    assert after == before


@pytest.mark.parametrize("path", SOUND)
def test_what_no_tool_obeys_is_data(project: Path, path: str) -> None:
    (project / "x.dvc").write_text(_pointer(path))
    assert tracked_files.place_tracked_data(project) == ()
    assert (project / path).read_bytes() == PAYLOAD


def test_a_tracked_folder_brings_no_code_to_where_code_is(project: Path) -> None:
    store = Store(project)
    members = [{"md5": DIGEST, "relpath": "__init__.py"}]
    folder = store.put_bytes(json.dumps(members).encode(), "x").digest
    manifest = f"{folder}.dir"
    store.path(folder).rename(store.path(manifest))
    for path in ("src/pandas", "data/pandas"):
        (project / f"{path.replace('/', '-')}.dvc").write_text(_pointer(path, digest=manifest))
    with pytest.raises(StoreError, match="is code, which Git holds"):
        tracked_files.place_tracked_data(project)
    assert not (project / "src").exists()
    assert (project / "data/pandas/__init__.py").read_bytes() == PAYLOAD


def test_what_git_holds_is_no_pointers_to_write(project: Path) -> None:
    (project / "README.md").write_text("ours\n")
    (project / "docs").mkdir()
    (project / "docs" / "page.md").write_text("ours\n")
    for path in ("README.md", "docs"):
        (project / f"{path}.dvc").write_text(_pointer(path))
    (project / "dvc.lock").write_text(_lock("README.md"))
    with pytest.raises(StoreError) as refused:
        tracked_files.place_tracked_data(project, in_git=["README.md", "docs/page.md"])
    assert [fault.what for fault in refused.value.faults] == [
        "`README.md` is held by Git, and no pointer's to write",
        "`docs` is held by Git, and no pointer's to write",
    ]
    assert (project / "README.md").read_text() == "ours\n"
    assert (project / "docs" / "page.md").read_text() == "ours\n"
