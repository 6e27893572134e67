"""The floor of the six steps without pandas: one plain script that keeps the model and its figures.

Takes the project's folder and the seed; writes beside the project's own files.
"""

import json
import pickle
import shutil
import sys
from pathlib import Path

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder / "flows" / "training"))

import steps  # noqa: E402

rows = steps.ingest(folder / "data" / "abalone.csv")
report = steps.check(rows)
parts = steps.prepare(rows, report)
forest = steps.train(parts, trees=50, depth=12, seed=int(sys.argv[2]))
with (folder / "model.pkl").open("wb") as file:
    pickle.dump(forest, file, protocol=5)
metrics = steps.evaluate(forest, parts)
(folder / "metrics.json").write_text(json.dumps(metrics))
if metrics["r2"] >= 0.1:
    (folder / "registry").mkdir(exist_ok=True)
    shutil.copyfile(folder / "model.pkl", folder / "registry" / "v1.pkl")
    (folder / "registry" / "v1.json").write_text(json.dumps(metrics))
