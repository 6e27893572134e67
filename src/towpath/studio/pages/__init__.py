"""One file a page: what it shows, gathered from the project, as frozen types."""
