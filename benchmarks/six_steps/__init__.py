"""The peers' pipeline of six steps, over the same functions in one plain script."""
