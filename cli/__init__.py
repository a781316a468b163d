"""The command line: one module a subject; composes gis, etl and dashboard."""
