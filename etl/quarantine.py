"""The quarantine (隔离区): rows that were not loaded, whole, each with its reason; what is personal in them is sealed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection
from psycopg.types.json import Jsonb

from etl.copy import copy_rows
from etl.fault import Fault, Tally
from etl.mapping import Mapping as FieldMapping
from etl.reading import Batch
from etl.sealing import RowSealer, seal_rows
from gis.access.crypt import Keys
from gis.store.queries import load_queries


def quarantine(
    conn: Connection,
    *,
    load_id: int,
    batch: Batch,
    faults: Mapping[int, Fault],
    keys: Mapping[int, str | None],
    tally: Tally,
    mapping: FieldMapping,
    vault: Keys,
) -> None:
    """Write rows of a batch to intake.quarantine and count them.

    Parameters
    ----------
    mapping : Mapping
        Tells which columns hold nothing personal; all others are sealed.
    vault : Keys
        Keys of the personal data.
    faults : mapping of int to Fault
        By position in the batch.
    keys : mapping of int to str or None
        The row's key as far as it was readable, by position.
    """
    if not faults:
        return
    rows = sorted(faults)
    for i in rows:
        tally.add(faults[i].code, int(batch.number[i]), keys.get(i), faults[i].reason)
    sealer = RowSealer(mapping)
    split = [sealer.split({str(_plain_text(c)): plain(v[i]) for c, v in batch.values.items()}) for i in rows]
    numbers = [int(n) for n in batch.number[rows]]
    copy_rows(
        conn,
        "intake.quarantine",
        {
            "load_id": load_id,
            "row_number": batch.number[rows],
            "row_key": _column([_plain_text(keys.get(i)) for i in rows]),
            "reason_code": _column([faults[i].code for i in rows]),
            "reason": _column([_plain_text(faults[i].reason) for i in rows]),
            "properties": _column([shown for shown, _ in split]),
            "geom_wkb": _column([None if batch.wkb[i] is None else bytes(batch.wkb[i]) for i in rows]),
            "sealed": _column(seal_rows(vault, load_id=load_id, numbers=numbers, hidden=[h for _, h in split])),
        },
    )


def seal_what_is_clear(conn: Connection, *, load_id: int, mapping: FieldMapping, vault: Keys) -> int:
    """Seal rows of a load that an older program wrote down in clear; return how many. Harmless to repeat."""
    sealer, done = RowSealer(mapping), 0
    rows = conn.execute(load_queries("imports")["quarantine_clear"], {"load_id": load_id}).fetchall()
    for number, row in rows:
        shown, hidden = sealer.split(row)
        if hidden:
            [sealed] = seal_rows(vault, load_id=load_id, numbers=[number], hidden=[hidden])
            conn.execute(
                load_queries("imports")["quarantine_seal"],
                {"load_id": load_id, "row_number": number, "properties": Jsonb(shown), "sealed": sealed},
            )
            done += 1
    return done


def plain(value: object) -> Any:
    """A value that jsonb can hold: no NUL, no lone surrogate, no NaN; numbers stay numbers."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(plain(k)): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return _plain_text(str(value))


def _plain_text(text: str | None) -> str | None:
    if text is None:
        return None
    return text.replace("\0", "").encode("utf-8", errors="replace").decode("utf-8")


def _column(values: list[Any]) -> NDArray[np.object_]:
    # filled one by one: numpy would turn a list of lists into a table
    column = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        column[i] = value
    return column
