"""The flow that makes a stage what main says it should be, for `prefect deploy` and by hand:
`python flows/reconcile/flow.py dev`."""

import sys

from towpath.flows import reconcile

__all__ = ["reconcile"]

if __name__ == "__main__":
    reconcile(*sys.argv[1:])
