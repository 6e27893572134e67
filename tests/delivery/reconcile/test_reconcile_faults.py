"""What goes wrong: altered and missing bytes, forged files, stores that are full or shut."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconcile_project import Project, declare, read_deployment
from towpath import registry
from towpath.errors import StoreError, UsageError, UserError
from towpath.storage.storage_backend import object_path
from towpath.versions.work_tree_files import find_own_files

STAGES = "{dev: , prod: {deploy: {to: files, path: deploy/prod}}}"


def _object(project: Project, stage: str, version: str) -> Path:
    digest = project.record(version).artifact.digest
    return project.root / ".towpath/stages" / stage / object_path(digest)


def _spoil(path: Path, content: bytes = b"junk") -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def test_after_the_lower_store_is_gone_prod_still_works(project: Project) -> None:
    version = project.register(b"one")
    project.up_to("prod", version)
    for stage in ("dev", "uat"):
        shutil.rmtree(project.root / ".towpath/stages" / stage)
    shutil.rmtree(project.root / ".dvc/cache")
    assert project.plan("prod").pending == ()
    shutil.rmtree(project.root / "deploy")
    assert project.said("prod") == {"abalone": f"repair {version}: the target runs nothing"}
    assert project.apply("prod").exit_code == 0
    assert (project.root / "deploy/prod/abalone/current/model.bin").read_bytes() == b"one"
    own = find_own_files(project.root)
    assert "deploy/prod/abalone/current" in own, "no change of the user's"
    assert f"deploy/prod/abalone/versions/{version}/model.bin" in own


def test_altered_bytes_are_found_and_mended_from_below(project: Project) -> None:
    version = project.register(b"one")
    project.up_to("prod", version)
    _spoil(_object(project, "prod", version))
    expected = f"repair {version}: its bytes in the stage's store are altered"
    assert project.said("prod") == {"abalone": expected}
    assert project.apply("prod").exit_code == 0
    assert _object(project, "prod", version).read_bytes() == b"one"

    served = project.root / "deploy/prod/abalone/versions" / version
    _spoil(served / "model.bin")
    (served / "stranger").write_text("x")
    assert project.said("prod") == {
        "abalone": f"repair {version}: what the target runs was altered"
    }
    project.apply("prod")
    assert (served / "model.bin").read_bytes() == b"one"
    assert not (served / "stranger").exists()


def test_bytes_altered_below_go_no_further(project: Project) -> None:
    first, second = project.register(b"one"), project.register(b"two")
    project.up_to("prod", first)
    project.up_to("uat", second)
    project.promote(second, "prod")
    _spoil(_object(project, "uat", second))
    applied = project.apply("prod")
    assert applied.exit_code == 1
    assert "model.bin in the store of uat (.towpath/stages/uat) holds other bytes" in str(
        applied.outcomes[0].faults[0]
    )
    assert not _object(project, "prod", second).exists()
    assert project.said("prod") == {"abalone": f"deploy {second} over {first}"}
    _spoil(_object(project, "uat", second), b"two")
    assert project.apply("prod").exit_code == 0


def test_a_folder_is_copied_contents_first_and_verified(project: Project) -> None:
    members = {"weights/a.bin": b"a" * 1000, "weights/b.bin": b"b", "config.json": b"{}"}
    version = project.register(members, name="net", kind="folder")
    project.up_to("uat", version)
    record = project.record(version)
    inside = next((project.root / ".towpath/stages/uat/files/md5").rglob("*"))
    assert inside.exists()
    project.promote(version, "prod")
    member = project.workspace.store.members(record.artifact.digest)["weights/a.bin"]
    below = project.root / ".towpath/stages/uat" / object_path(member)
    _spoil(below, b"b" * 1000)
    assert project.apply("prod").exit_code == 1
    assert not list((project.root / ".towpath/stages/prod").rglob("*.dir"))
    _spoil(below, b"a" * 1000)
    assert project.apply("prod").exit_code == 0
    net = project.root / "deploy/prod/abalone/current/net"
    assert {
        p.relative_to(net).as_posix(): p.read_bytes() for p in net.rglob("*") if p.is_file()
    } == (members)


def test_who_approved_too_little_changes_nothing(make_project: Callable[..., Project]) -> None:
    project = make_project(STAGES)
    version = project.register(b"one")
    project.promote(version, "dev", trailers="", by={})  # its author merges it
    applied = project.apply("dev")
    assert applied.exit_code == 3
    assert "approved as `none`, and dev asks for at least `recorded`" in applied.outcomes[0].words
    assert read_deployment(project.store("dev"), "abalone") is None
    declare(project, "{dev: {approval: signed}, prod: }")
    project.git("commit", "-q", "--allow-empty", "-m", "x")
    other = project.register(b"two")
    project.promote(other, "dev")
    assert (
        "`recorded`, and dev asks for at least `signed`" in project.apply("dev").outcomes[0].words
    )


def test_a_stage_file_put_on_main_by_hand_is_not_obeyed(project: Project) -> None:
    version = project.register(b"one")
    project.write("registry/stages/dev/abalone.yaml", project.stage_file(version))
    project.commit("by hand")
    applied = project.apply("dev")
    assert (applied.exit_code, applied.outcomes[0].state) == (3, "refused")


def test_stage_files_that_lie_block_and_remove_nothing(project: Project) -> None:
    version = project.register(b"one")
    project.up_to("dev", version)
    project.promote(version, "dev", sha256="ab" * 32)
    said = project.said("dev")["abalone"]
    assert said.startswith("blocked: the stage file asks for sha256 abababababab…, and the record")
    assert project.apply("dev").exit_code == 3
    project.write("registry/stages/dev/abalone.yaml", "model: [abalone\n")
    project.commit("torn")
    assert project.said("dev")["abalone"].startswith("blocked: registry/stages/dev/abalone.yaml")
    assert project.apply("dev").exit_code == 3
    known = read_deployment(project.store("dev"), "abalone")
    assert known
    assert str(known.version) == version


def test_a_rejected_version_is_not_deployed_anew(project: Project) -> None:
    version = project.register(b"one")
    project.up_to("dev", version)
    project.promote(version, "uat")
    registry.reject_version(project.repository, f"abalone@{version}", "trained on leaked labels")
    assert project.said("uat")["abalone"].startswith(
        f"blocked: abalone@{version} was rejected: trained on leaked labels"
    )
    expected = f"nothing to do: {version} (rejected meanwhile: trained on leaked labels)"
    assert project.said("dev") == {"abalone": expected}


def test_a_damaged_record_is_named_and_can_be_deleted(project: Project) -> None:
    version = project.register(b"one")
    project.up_to("dev", version)
    record = project.root / ".towpath/stages/dev/towpath/deployed/abalone.json"
    record.write_text('{"schema": 1}')
    said = project.said("dev")["abalone"]
    assert said.startswith("blocked: the record towpath/deployed/abalone.json in the store of dev ")
    assert "is damaged" in said
    record.unlink()
    assert project.said("dev") == {"abalone": f"deploy {version}"}
    assert project.apply("dev").exit_code == 0


def test_one_model_in_trouble_leaves_the_others_alone(project: Project) -> None:
    project.up_to("dev", project.register(b"one"))
    good, bad = project.register(b"two"), project.register(b"ring", model="rings")
    project.promote(bad, "dev", model="rings")
    shutil.rmtree(project.root / ".dvc/cache/files")
    project.workspace.store.put_bytes(b"two", "model.bin")
    project.promote(good, "dev")
    applied = project.apply("dev")
    states = {one.change.model: one.state for one in applied.outcomes}
    assert (states, applied.exit_code) == ({"abalone": "done", "rings": "failed"}, 1)
    assert "is not in the project's store" in str(applied.outcomes[1].faults[0])


def test_an_unknown_stage_and_a_missing_credential_are_wrong_calls(
    make_project: Callable[..., Project],
) -> None:
    project = make_project(
        "{prod: {store: {url: s3://prod-models, credentials: "
        "{access_key: PROD_KEY, secret_key: PROD_SECRET}}}}"
    )
    with pytest.raises(UsageError, match=r"there is no stage `prd`.*did you mean `prod`"):
        project.plan("prd")
    with pytest.raises(UserError) as caught:
        project.plan("prod")
    assert [fault.what for fault in caught.value.faults] == [
        "PROD_KEY is not set: it holds a credential of s3://prod-models",
        "PROD_SECRET is not set: it holds a credential of s3://prod-models",
    ]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_store_that_is_full_or_read_only(
    make_project: Callable[..., Project], disk: Path
) -> None:
    project = make_project(f"{{prod: {{store: {disk}/store, deploy: {{to: files, path: out}}}}}}")
    small, large = project.register(b"one"), project.register(b"x" * 2_000_000)
    project.up_to("prod", small)
    project.promote(large, "prod")
    applied = project.apply("prod")
    assert applied.exit_code == 1
    assert applied.outcomes[0].words == f"the store of prod ({disk}/store): the disk is full"
    assert (project.root / "out/abalone/current/model.bin").read_bytes() == b"one"
    assert project.plan("prod").pending
    assert not [path for path in (disk / "store").rglob(".*") if path.stat().st_size > 1000]

    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert project.said("prod") == {"abalone": f"deploy {large} over {small}"}
    with pytest.raises(StoreError, match=r"the store of prod .*Read-only file system"):
        project.apply("prod")


def test_a_target_that_cannot_be_written_leaves_the_incumbent(
    make_project: Callable[..., Project], disk: Path
) -> None:
    project = make_project(f"{{prod: {{deploy: {{to: files, path: {disk}/out}}}}}}")
    small, large = project.register(b"one"), project.register(b"x" * 2_000_000)
    project.up_to("prod", small)
    project.promote(large, "prod")
    applied = project.apply("prod")
    assert applied.exit_code == 1
    assert applied.outcomes[0].words == f"{disk}/out cannot be written: the disk is full"
    current = disk / "out/abalone/current"
    assert (current / "model.bin").read_bytes() == b"one"
    assert [path.name for path in (disk / "out/abalone/versions").iterdir()] == [small]
