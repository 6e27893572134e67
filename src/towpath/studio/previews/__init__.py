"""What a page shows of a file that a step made: its first rows or lines, never the whole."""
