"""The store: the private cluster, connections by role, named queries, migrations."""
