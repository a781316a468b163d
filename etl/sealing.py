"""Personal fields sealed on their way in: encrypted columns, masked forms and look-up keys made from clear ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gis.access.crypt import Keys
from gis.access.masking import mask_id_number, mask_name, mask_phone

Column = Sequence[Any] | NDArray[Any]


def seal(keys: Keys, *, table: str, rows: Column, clear: Mapping[str, Column]) -> dict[str, NDArray[np.object_]]:
    """Encrypt columns of one table, each value bound to its table, row and field.

    Parameters
    ----------
    table : str
        ``personal.person`` or ``personal.contractor``.
    rows : sequence
        Primary keys, one a row.
    clear : mapping of field to values
        ``name``, ``id_number``, ``phone``, ``witness``; None where unknown.

    Returns
    -------
    dict
        ``<field>_enc`` for each, and ``<field>_key`` (keyed hash, for exact matches) for numbers and names.
    """
    rows = [row.item() if isinstance(row, np.generic) else row for row in rows]
    sealed: dict[str, NDArray[np.object_]] = {}
    for field, values in clear.items():
        texts = [None if v is None else str(v) for v in values]
        sealed[f"{field}_enc"] = _objects(keys.encrypt_many(texts, table=table, rows=rows, field=field))
        if field != "witness":
            sealed[f"{field}_key"] = _objects(keys.lookup_many(texts, field=field))
    return sealed


def masked(clear: Mapping[str, Column]) -> dict[str, NDArray[np.object_]]:
    """Return ``<field>_masked`` columns: 张*明, 130529********1234, 138****5678."""
    masks: dict[str, Callable[[str | None], str | None]] = {
        "name": mask_name,
        "id_number": mask_id_number,
        "phone": mask_phone,
    }
    return {
        f"{field}_masked": _objects([masks[field](None if v is None else str(v)) for v in values])
        for field, values in clear.items()
    }


def _objects(values: Sequence[Any]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
