"""Optuna: which values a search tries next. Nothing but this room imports it."""
