"""The doors: each package holds all that is known of one tool."""
