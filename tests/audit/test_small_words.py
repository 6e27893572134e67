"""What an audit says in passing: who agreed later, whose a model is, what is the same again."""

from __future__ import annotations

from towpath.audit.approvals import _in_tag
from towpath.audit.reproduction import find_metric_differences
from towpath.cli.audit_commands import _describe_agreement
from towpath.delivery.promotion.rule_changes import RuleChange
from towpath.delivery.promotion.rulebook import LARGEST, Rulebook


def change(commit: str, level: str, by: tuple[str, ...] = (), why: str = "") -> RuleChange:
    """A change of the rules in one file."""
    return RuleChange(commit, 0, "Ada", ("towpath.yaml",), level, by, None, why)  # type: ignore[arg-type]


def test_a_change_that_was_agreed_to_later() -> None:
    alone = change("a" * 40, "none", why="nobody signed it")
    agreed = change("b" * 40, "signed", ("bo@example.org",))
    assert (
        _describe_agreement(alone, [agreed])
        == "by Ada, agreed to in bbbbbbb: signed by bo@example.org"
    )
    assert _describe_agreement(alone, []) == "by Ada, and nobody agreed: nobody signed it"
    assert _describe_agreement(agreed, []) == "signed by bo@example.org"


def test_a_name_with_a_comma_is_one_name() -> None:
    tag = "Approval: recorded\nApproved-by: Lovelace, Ada <ada@example.org>, Bo <bo@example.org>\n"
    approved = _in_tag(tag)
    assert approved
    assert approved.by == ("Lovelace, Ada <ada@example.org>", "Bo <bo@example.org>")
    plain = _in_tag("Approval: forge\nApproved-by: ada, bo\n")
    assert plain
    assert plain.by == ("ada", "bo")


def test_owners_in_a_file_that_no_forge_loads() -> None:
    line = b"* @ada\n"
    large = line + b"#" * LARGEST
    assert Rulebook({"CODEOWNERS": line}).owners_of_path("a") == ("@ada",)
    assert Rulebook({"CODEOWNERS": large}).owners_of_path("a") == ()


def test_the_same_metrics_however_many_and_whatever_is_no_number() -> None:
    """A record holds no NaN, so that one which is made again is no difference."""
    scores = {f"fold{number}": float(number) for number in range(150)}
    for changed, different in (({"share": float("nan")}, []), ({"fold149": 0.5}, ["fold149"])):
        found = find_metric_differences(scores, {**scores, **changed})
        assert [difference.name for difference in found] == different
