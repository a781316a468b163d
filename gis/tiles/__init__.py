"""Vector tiles 矢量瓦片: which layers exist, how a tile is asked of the store, and what a browser may keep."""
