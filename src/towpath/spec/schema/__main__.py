"""Write the schemas beside the types they describe: ``python -m towpath.spec.schema``."""

import json
from pathlib import Path

from towpath.spec.schema import json_schema

FOLDER = Path(__file__).parents[1]


def written(of: str) -> str:
    """The text of a schema's file."""
    schema = json_schema("pipeline" if of == "pipeline" else "project")
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in ("pipeline", "project"):
        (FOLDER / f"{name}.schema.json").write_text(written(name), encoding="utf-8")
