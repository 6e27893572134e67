"""Small projects whose runs are real."""

import run_fixtures

loose, project = run_fixtures.loose, run_fixtures.project
