"""DuckDB: SQL out of core. Nothing but this room imports it."""
