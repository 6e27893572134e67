"""The checks of ``towpath verify``: each a file that looks at one thing, and says what is wrong."""
