"""The floor of the abalone pipeline: the same functions and expectations in one plain script."""

import hashlib
import json
import sys
from pathlib import Path

import joblib

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder / "flows" / "training"))

import great_expectations as gx  # noqa: E402
import pandas as pd  # noqa: E402

import steps  # noqa: E402

raw = pd.read_csv(folder / "data" / "abalone.csv")
context = gx.get_context(mode="ephemeral")
source = context.data_sources.add_pandas("pandas").add_dataframe_asset("raw")
batch = source.add_batch_definition_whole_dataframe("whole").get_batch({"dataframe": raw})
measures = [name for name in raw.columns if name not in ("sex", "rings")]
suite = gx.ExpectationSuite("raw")
suite.add_expectation(gx.expectations.ExpectColumnValuesToNotBeNull(column="rings"))
suite.add_expectation(gx.expectations.ExpectTableRowCountToBeBetween(min_value=1000))
suite.add_expectation(
    gx.expectations.ExpectColumnValuesToBeInSet(column="sex", value_set=["M", "F", "I"])
)
for name in measures:
    suite.add_expectation(
        gx.expectations.ExpectColumnValuesToBeBetween(
            column=name, min_value=0, max_value=3, mostly=0.999
        )
    )
result = batch.validate(suite)
(folder / "check.json").write_text(json.dumps(result.to_json_dict()))
if not result.success:
    sys.exit("the data did not pass")
parts = steps.prepare(raw, test_size=0.2)
for name, part in parts.items():
    part.to_parquet(folder / f"{name}.parquet")
model = steps.train(parts["train"], learning_rate=0.1)
joblib.dump(model, folder / "model.joblib")
made = steps.evaluate(model, parts["test"])
made["residuals"].to_csv(folder / "residuals.csv")
scored = parts["test"].assign(prediction=model.predict(parts["test"].drop(columns=steps.TARGET)))
scored.to_parquet(folder / "scored.parquet")
digest = hashlib.sha256((folder / "model.joblib").read_bytes()).hexdigest()
if made["metrics"]["mse"] <= 6.0:
    (folder / "registry.json").write_text(
        json.dumps({"metrics": made["metrics"], "sha256": digest})
    )
