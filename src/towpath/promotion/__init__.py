"""Promotions: a stage file, its evidence, a branch, a pull request, and who let it in."""
