"""Pages for people: what a run or a version was, in one file that needs nothing from elsewhere."""
