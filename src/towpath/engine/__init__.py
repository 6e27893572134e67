"""When: plans, runs and their record."""
