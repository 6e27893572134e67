"""A run: its inputs, its steps in their order, what they make, and its record."""
