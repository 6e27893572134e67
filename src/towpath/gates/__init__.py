"""Gates: what a version must pass to enter a stage. A kind is a small file and a row in a table."""

from towpath.gates.context import Context
from towpath.gates.judging import judge, waiting
from towpath.gates.page import page, rows
from towpath.gates.verdict import Verdict

__all__ = ["Context", "Verdict", "judge", "page", "rows", "waiting"]
