"""Cases (办件): one engine for everything with a life, run from definitions in data/processes/*.toml."""
