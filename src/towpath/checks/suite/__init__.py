"""The door to Great Expectations."""
