"""区划: the dated tree of divisions; who owns a point; merging, verifying, counting."""
