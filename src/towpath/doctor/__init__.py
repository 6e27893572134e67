"""What stands in the way of a project: its Git, its declaration, its stages and its forge."""

from towpath.doctor.check import Check, Verdict
from towpath.doctor.examining import examine

__all__ = ["Check", "Verdict", "examine"]
