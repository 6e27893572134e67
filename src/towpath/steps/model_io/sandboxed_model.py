"""A version's bundled model for a program: it predicts in a sandbox, where its code runs."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from towpath.errors import Fault, StepFailed
from towpath.scratch import scratch_folder
from towpath.steps.model_io import model_bundles, score_model
from towpath.steps.model_io.score_model import Scoring

if TYPE_CHECKING:
    from towpath.registry.version_code import OwnCode


@dataclass(frozen=True)
class SandboxedModel:
    """A model whose code runs in a process with a bare environment, without a network.

    ``feature_names_in_`` are the columns that it takes. Each call is a process of its own.
    """

    feature_names_in_: tuple[str, ...]
    signature: dict[str, Any] = field(repr=False)
    _place: tempfile.TemporaryDirectory[str] = field(repr=False)
    _scoring: Scoring = field(repr=False)

    @classmethod
    def keep(cls, path: Path, name: str, own: OwnCode, trust: tuple[str, ...]) -> SandboxedModel:
        """Keep a copy of a bundle, for as long as the model is used.

        Raises:
            Refused: where it runs or holds what `trust` does not name.
        """
        place = tempfile.TemporaryDirectory(prefix="towpath-model-")
        kept = Path(place.name, name)
        shutil.copytree(path, kept)
        description = model_bundles.refuse_untrusted(kept, name, trust)
        scoring = Scoring(kept, Path(), Path(), own, trust)
        return cls(description.columns, dict(description.signature), place, scoring)

    def predict(self, data: Any) -> Any:
        """A prediction for each row of a table of pandas; raises as `towpath transform` does."""
        return self._ask("predict", data)

    def predict_proba(self, data: Any) -> Any:
        """The share of each class, a row for each row; for a classifier without a step behind."""
        return self._ask("predict_proba", data)

    def _ask(self, method: str, data: Any) -> Any:
        import pandas

        if missing := [name for name in self.feature_names_in_ if name not in data.columns]:
            what = f"the model takes `{missing[0]}`, which the table does not have"
            raise StepFailed(Fault(what))
        with scratch_folder() as folder:
            table, scored = folder / "rows.parquet", folder / "scored.parquet"
            rows = data[list(self.feature_names_in_)].reset_index(drop=True)
            rows.to_parquet(table, index=False)
            score_model.score_table(
                replace(self._scoring, data=table, output=scored, method=method)
            )
            predictions = pandas.read_parquet(scored).iloc[:, len(self.feature_names_in_) :]
        return (
            predictions.iloc[:, 0].to_numpy()
            if predictions.shape[1] == 1
            else predictions.to_numpy()
        )
