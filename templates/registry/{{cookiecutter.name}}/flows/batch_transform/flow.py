"""The flow that scores a table with a registered model, for `prefect deploy` and by hand:
`python flows/batch_transform/flow.py abalone#prod new.csv scored.parquet`."""

import sys

from towpath.flows import batch_transform

__all__ = ["batch_transform"]

if __name__ == "__main__":
    batch_transform(*sys.argv[1:])
