"""Gates: what a version must pass to enter a stage. A kind is a small file and a row in a table."""

from towpath.gates.verdict import Verdict

__all__ = ["Verdict"]
