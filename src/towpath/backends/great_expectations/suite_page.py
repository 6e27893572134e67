"""A check's result as a page of HTML that needs nothing but itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from towpath.backends.great_expectations.suite_outcome import (
    CheckOutcome,
    Result,
    of_the_whole,
    percent_text,
    show_observed,
)
from towpath.config.artifact import Json

_QUOTED = re.compile("`([^`]+)`")
_WORDS = {"held": "held", "failed": "failed", "warned": "warning"}


def render_page(outcome: CheckOutcome, data: str) -> str:
    verdict = "passed" if outcome.passed else "failed"
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    body = "".join((*_head_lines(outcome, data, verdict), *_group_sections(outcome)))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(data)}: {verdict}</title>\n<style>\n{style}</style>\n</head>\n"
        f'<body class="{verdict}">\n<main>\n{body}</main>\n</body>\n</html>\n'
    )


def _head_lines(outcome: CheckOutcome, data: str, verdict: str) -> Iterator[str]:
    held = sum(result.passed for result in outcome.results)
    yield f'<header><p class="verdict">{verdict}</p><h1>{escape(data)}</h1>'
    yield f'<p class="about">{outcome.rows:,} rows, {outcome.columns:,} columns, held against '
    yield f"<b>{escape(outcome.suite)}</b></p>"
    if outcome.description:
        yield f'<p class="description">{escape(outcome.description)}</p>'
    yield '<ul class="counts">'
    counts = {"held": held, "warned": len(outcome.warned), "failed": len(outcome.failed)}
    for word, number in counts.items():
        yield f'<li class="{word if number else "none"}"><b>{number}</b> {_WORDS[word]}</li>'
    yield "</ul></header>\n"


def _group_sections(outcome: CheckOutcome) -> Iterator[str]:
    held = tuple(result for result in outcome.results if result.passed)
    groups = ("Failed", outcome.failed), ("Warnings", outcome.warned), ("Held", held)
    for title, results in groups:
        if results:
            yield f"<section><h2>{title}</h2>\n"
            yield from (_result_card(result) for result in results)
            yield "</section>\n"


def _result_card(result: Result) -> str:
    state = "held" if result.passed else "failed" if result.severity == "critical" else "warned"
    parts = [f'<article class="{state}"><h3>{_code_quoted(result.rule)}</h3>']
    if result.meaning:
        parts.append(f'<p class="meaning">{escape(result.meaning)}</p>')
    parts.append(f'<p class="found">{_result_finding(result)}</p>')
    if result.samples:
        parts.append(_sample_table(result))
    parts.append(
        f'<p class="source">{escape(result.type)} · {escape(result.place)}</p></article>\n'
    )
    return "".join(parts)


def _code_quoted(text: str) -> str:
    return _QUOTED.sub(r"<code>\1</code>", escape(text))


def _result_finding(result: Result) -> str:
    if result.error:
        return f"<b>{_code_quoted(result.error)}</b>"
    if not result.counts_rows:  # said of the column, not of its rows
        if not result.passed:
            return f"<b>{escape(of_the_whole(result))}</b>"
        shown = escape(show_observed(result.observed))
        return "" if result.observed is None else f"it is {shown}"
    if not result.unexpected:
        return f"all of {result.rows:,} rows"
    share = min(100.0, max(0.5, result.percent or 0))  # a few in a million are still to be seen
    bar = f'<span class="bar"><span style="width:{share:.3g}%"></span></span>'
    count = f"<b>{result.unexpected:,}</b> of {result.rows:,} rows are not"
    return f"{bar}{count} ({percent_text(result)})"


def _sample_table(result: Result) -> str:
    names = list(result.samples[0].values)
    mark = {name: ' class="meant"' if name == result.column else "" for name in names}
    head = "".join(f"<th{mark[name]}>{escape(name)}</th>" for name in names)
    lines = []
    for row in result.samples:
        cells = (f"<td{mark[name]}>{_value_cell(row.values[name])}</td>" for name in names)
        lines.append(f"<tr><th>{row.index:,}</th>{''.join(cells)}</tr>")
    return f'<div class="rows"><table><tr><th>row</th>{head}</tr>{"".join(lines)}</table></div>'


def _value_cell(value: Json) -> str:
    return '<span class="empty">no value</span>' if value is None else escape(show_observed(value))
