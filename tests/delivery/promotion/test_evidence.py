"""The evidence: what an approver reads, and what nobody can write into it."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from promotion_project import POLICY, Project, begin, draft
from towpath import markdown_text as markdown
from towpath.delivery import promotion
from towpath.registry import Column, ModelSignature

MALICE = (
    "@everyone [click](http://evil.example) <img src=x onerror=alert(1)> ![x](http://e.example/p)"
)
CALLS = r"@\w|#\d|GH-\d|://|www\."
WORDS = [
    MALICE,
    "one\n\n# heading\n\n```\ncode",
    "a | b | c `d` ``e`` | f",
    "$(rm -rf /) ${{ github.token }} `id`",
    "~~x~~ **b** __c__ \\ \\| \\` #12 GH-12 org/repo#3 a@b.example www.evil.example",
    "\u202eesrever \x1b[31mred\x1b[0m \u200b@bo",
    "1. list", "- list", "=====", "> quote", "    indented", "&lt;b&gt; &#64;bo", "`", "``",
    "", " ",
]  # fmt: skip


def tokens(text: str) -> list[str]:
    """The kinds of everything in a page."""
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    return [each.type for token in parsed for each in (token, *(token.children or ()))]


def plain(text: str) -> list[str]:
    """The words of a page that are not code: in which a forge looks for whom to call."""
    parsed = MarkdownIt("commonmark").enable("table").parse(text)
    children = [each for token in parsed for each in token.children or ()]
    return [each.content for each in children if each.type == "text"]


@pytest.mark.parametrize("words", WORDS)
def test_words_of_users_are_words(words: str) -> None:
    page = markdown.markdown_table(
        ("a", "b"), [[markdown.escape_prose(words), markdown.code_span(words)], ["x", "y"]]
    )
    text = f"> {markdown.escape_prose(words)}\n\n{markdown.escape_prose(words)}\n\n{page}\n"
    found = tokens(text)
    assert found.count("td_open") == 4
    allowed = (
        "blockquote", "paragraph", "table", "thead", "tbody", "tr", "th", "td", "inline", "text",
        "code_inline",
    )  # fmt: skip
    assert not [kind for kind in found if not kind.startswith(allowed)]
    assert not re.search(CALLS, "\n".join(plain(text)))
    assert all(char == "\n" or char.isprintable() or char == "\u200b" for char in text)


def test_a_page_with_hostile_facts(project: Project) -> None:
    project.register(
        metrics={f"m{n}|{MALICE}": float(n) for n in range(50)} | {"mse": 1.0},
        parameters={MALICE: MALICE},
        data={f"{MALICE}{n}": "0a" * 16 for n in range(50)},
        run=MALICE,
        pipeline="x",
        author=MALICE,
        description=f"{MALICE}\n\n# Approved by @bo\n",
    )
    made = promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "dev", why=MALICE)
    page = made.evidence
    assert not {"link_open", "image", "html_inline", "html_block"} & set(tokens(page))
    assert page.count("\n# ") == 0
    assert "| … and 43 more |  |" in page
    assert len(page.splitlines()) <= 60
    assert not re.search(CALLS, "\n".join(plain(page)))


def test_side_by_side(project: Project) -> None:
    project.register()
    for stage in ("dev", "uat", "prod"):
        project.promote("abalone@v1.0.0", stage)
    project.register(
        "second",
        metrics={"mse": 4.6, "r2": 0.5},
        parameters={"learning_rate": 0.05},
        data={"raw": "0b" * 16},
        signature=ModelSignature((Column("weight", "number"),), (Column("rings", "integer"),)),
    )
    for stage in ("dev", "uat"):
        project.promote("abalone@v2.0.0", stage)
    page = promotion.propose_promotion(project.workspace, "abalone@v2.0.0", "prod").evidence
    for line in [
        "# abalone v2.0.0 → prod",
        "| metric | candidate v2.0.0 | now v1.0.0 | difference |",
        "| `mse` | 4.6 | 4.5 | +0.1 (+2.2%) |",
        "| `r2` | 0.5 | — |  |",
        "| `mae` | — | 1.5 |  |",
        "| parameter `learning_rate` | `0.1` | `0.05` |",
        "| data `raw` | `0a0a0a0a0a0a` | `0b0b0b0b0b0b` |",
        "| input `weight` | — | `number` |",
        "| input `height` | `number` | — |",
        "**Who calls v1.0.0 cannot call it as before:** input weight is new; output rings number "
        "-&gt; integer.",
        "| … waits | `fair` fairness |  |  | judged in prod |",
        "1. Verifies the bytes in uat's store, copies them to prod's "
        "(`s3://models-prod/abalone`), then judges `fair`.",
        "4. Back to `v1.0.0`: `towpath rollback abalone --stage prod`.",
    ]:
        assert line in page.splitlines(), line
    assert re.search(
        r"\| ✓ passed \| `no_worse` no_worse \| 4\.6 \| .* \| towpath\.yaml:10 at", page
    )
    assert len(page.splitlines()) <= 60


def test_the_longest_page(tmp_path_factory: pytest.TempPathFactory) -> None:
    gates = "".join(f"      g{n}: {{kind: metric, metric: m0, at_most: 9}}\n" for n in range(30))
    policy = f"name: abalone\nstages:\n  dev:\n    gates:\n{gates}"
    project = begin(tmp_path_factory.mktemp("long") / "p", policy)
    many = [{f"m{n}": float(n + k) for n in range(30)} for k in range(2)]
    for key, facts in enumerate(many):
        project.register(str(key), metrics=facts, parameters=facts)
        project.promote("abalone@latest", "dev")
    page = project.show("main:registry/evidence/abalone/v1.1.0-dev.md")
    assert "| … and 22 more |  |  |  |" in page
    assert "| … and 22 more |  |  |  |  |" in page
    assert len(page.splitlines()) <= 60


def test_addresses_without_what_lets_one_in(tmp_path_factory: pytest.TempPathFactory) -> None:
    policy = POLICY.replace("  uat: {}", "  uat: {store: 'https://me:secret@store.example/m'}")
    project = begin(tmp_path_factory.mktemp("plain") / "p", policy)
    project.register()
    project.promote("abalone@v1.0.0", "dev")
    page = promotion.propose_promotion(project.workspace, "abalone@v1.0.0", "uat").evidence
    assert "secret" not in page
    assert "`https://store.example/m`" in page


def test_a_name_that_no_model_may_have(project: Project) -> None:
    from towpath.errors import UsageError

    with pytest.raises(UsageError, match="cannot be the name of a model"):
        project.register(model=draft().model + "@everyone")
