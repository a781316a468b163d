"""History of cases from another system: read, checked, sealed, numbered, updated instead of doubled, taken back whole."""
