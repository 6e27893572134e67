"""Two projects in one repository: each is audited by its own policy and its own stores."""

from __future__ import annotations

from pathlib import Path

from audit_project import Project, begin
from towpath.audit.stage_history import read_stage_history
from towpath.audit.verification import verify_registry


def test_each_by_itself(tmp_path: Path) -> None:
    first = begin(tmp_path / "both" / "first")
    (tmp_path / "both" / "second").mkdir()
    for name in (".git", ".dvc", ".dvcignore"):
        (first.root / name).rename(tmp_path / "both" / name)
    second = Project(tmp_path / "both" / "second")
    second.write("towpath.yaml", "name: second\nstages: [lab]\npolicy: {self_approval: true}\n")
    second.write(".gitignore", "/.towpath/\n/artifacts/\n")
    for one in (first, second):
        one.git("add", "-A", str(tmp_path / "both"))
    second.commit("two projects")
    first.promote(first.register(b"one", path="first/model.bin"), "dev")
    second.promote(second.register(b"two", model="squid", path="second/model.bin"), "lab")
    for one, model in ((first, "abalone"), (second, "squid")):
        found = verify_registry(one.workspace)
        assert found.findings == ()
        assert found.unchecked == ()
        assert found.looked_at["promotions"] == 1
        [entry] = read_stage_history(one.workspace, model)
        assert entry.approval.by == ("Bo Diddley <bo@example.org>",)
