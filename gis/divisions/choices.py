"""Names to choose a division by: the way down to it, and what lies in it; no figures, so it costs next to nothing."""

from __future__ import annotations

from dataclasses import dataclass

from gis.divisions import sight
from gis.divisions.naming import short_name
from gis.errors import NotFound
from gis.store.pool import Pool
from gis.store.queries import load_queries

Named = tuple[str, str]  # code, name


@dataclass(frozen=True)
class Around:
    """A division among others.

    Attributes
    ----------
    path : from the topmost the asker may open down to the division itself, as (code, name).
    children : one level below, by code.
    bounds : (west, south, east, north), degrees, EPSG:4490; None where it has no boundary.
    """

    path: tuple[Named, ...]
    children: tuple[Named, ...]
    bounds: tuple[float, float, float, float] | None


class Choices:
    """Reads names of divisions, as far as the asker may open them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._sql = load_queries("divisions")

    def around(self, code: str | None) -> Around:
        """Read one division's surroundings; one that is absent, or not the asker's, is answered by the asker's own part.

        Raises
        ------
        NotFound
            When the store holds no county yet.
        """
        with self._pool.reading() as conn:
            county = conn.execute(self._sql["county_code"]).fetchone()
            if county is None:
                raise NotFound("库里还没有县域数据。", next_step="运行 ./onemap up 建立示范县。")
            try:
                path = sight.open_path(conn, code or county["code"])
            except NotFound:
                path = sight.open_path(conn, county["code"])
            here = path[-1]
            below = (
                conn.execute(self._sql["siblings"], {"parents": [here["code"]]}).fetchall() if here["level"] < 4 else []
            )
        mine = sight.scope()
        first = next((i for i, step in enumerate(path) if step["code"] in mine), 0)
        west, south, east, north = (here[side] for side in ("west", "south", "east", "north"))
        return Around(
            path=tuple((s["code"], short_name(s["name"], level=s["level"])) for s in path[first:]),
            children=tuple((r["code"], short_name(r["name"], level=here["level"] + 1)) for r in below),
            bounds=None if west is None else (west, south, east, north),
        )
