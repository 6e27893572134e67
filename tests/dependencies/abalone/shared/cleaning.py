"""Rules that every pipeline cleans by."""

RULES = {"least": 0}
RULES["drop"] = ["sex"]


def clean(frame):
    return frame.query("height > 0").drop(columns=RULES["drop"])


def unrelated(frame):
    return frame
