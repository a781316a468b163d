"""Where every row came from (入库批次): one row of intake.load a load, opened before, closed after."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import Connection


@dataclass(frozen=True)
class Source:
    """What a load was made from.

    Attributes
    ----------
    subject : str
        ``divisions``, ``parcels``, ``facilities``, ``households``, ``incidents`` ...
    name : str
        File name without folders; 合成 for generated data.
    """

    subject: str
    name: str
    sha256: str | None = None
    crs: str | None = None
    mapping: str | None = None
    synthetic: bool = False
    note: str | None = None


def open_load(conn: Connection, source: Source) -> int:
    """Write the load's row and return its ``load_id``."""
    row = conn.execute(
        "INSERT INTO intake.load (subject, source_name, source_sha256, source_crs, mapping, synthetic, note) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING load_id",
        [source.subject, source.name, source.sha256, source.crs, source.mapping, source.synthetic, source.note],
    ).fetchone()
    assert row is not None
    return int(row[0])


def close_load(conn: Connection, load_id: int, *, rows_loaded: int, rows_quarantined: int = 0) -> None:
    """Say how it ended; in = loaded + quarantined, nothing gets lost."""
    conn.execute(
        "UPDATE intake.load SET finished_at = clock_timestamp(), rows_in = %s, rows_loaded = %s, rows_quarantined = %s "
        "WHERE load_id = %s",
        [rows_loaded + rows_quarantined, rows_loaded, rows_quarantined, load_id],
    )
