"""What stands in the way of a project: its Git, its declaration, its stages and its forge."""

from towpath.doctor.examination import examine_project
from towpath.doctor.health_check import CheckVerdict, DoctorCheck

__all__ = ["CheckVerdict", "DoctorCheck", "examine_project"]
