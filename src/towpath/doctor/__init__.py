"""What stands in the way of a project: its Git, its declaration, its stages and its forge."""

from towpath.doctor.examination import examine
from towpath.doctor.health_check import Check, Verdict

__all__ = ["Check", "Verdict", "examine"]
