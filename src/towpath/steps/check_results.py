"""What a check of data makes: its report in the log, its documents and its page, and its facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from towpath.backends.dvc import Store
from towpath.backends.great_expectations import suite_outcome
from towpath.backends.great_expectations.suite_outcome import CheckOutcome
from towpath.config.artifact import Json, Made
from towpath.steps import step_results
from towpath.steps.formats import jsons
from towpath.steps.work_order import Order


def print_results(outcome: CheckOutcome) -> None:
    """Print a line for each result."""
    for result in outcome.results:
        mark = "held  " if result.passed else "FAILED" if result in outcome.failed else "warned"
        print(mark, result.rule if result.passed else suite_outcome.result_sentence(result))


def summarise_results(outcome: CheckOutcome) -> Json:
    """The counts of a check, for its facts."""
    held = sum(result.passed for result in outcome.results)
    return {
        "passed": outcome.passed, "held": held, "failed": len(outcome.failed),
        "warned": len(outcome.warned),
    }  # fmt: skip


def write_results(order: Order, documents: Mapping[str, Json], page: str) -> dict[str, Path]:
    """The files of a check by output, in its step's folder, where they stay if it does not pass."""
    order.directory.mkdir(parents=True, exist_ok=True)
    files = {name: order.directory / f"{name}.json" for name in documents}
    for name, file in files.items():
        text = json.dumps(documents[name], indent=2, ensure_ascii=False)
        file.write_text(f"{text}\n", encoding="utf-8")
    files["page"] = order.directory / "page.html"
    files["page"].write_text(page, encoding="utf-8")
    return files


def store_results(
    order: Order, files: Mapping[str, Path], documents: Mapping[str, Json], outcome: CheckOutcome
) -> Made:
    """The same in the store, and no longer in the step's folder."""
    try:
        outputs = step_results.store_files(order, Store(order.root), files)
    finally:
        for file in files.values():
            file.unlink()
    values = {name: documents[name] for name in documents if outputs[name].size <= jsons.SMALL}
    return Made(outputs, values, {"check": summarise_results(outcome)})
