"""Personal fields sealed on their way in: encrypted columns, masked forms and look-up keys made from clear ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl.mapping import Mapping as FieldMapping
from gis.access.crypt import Keys
from gis.access.masking import mask_id_number, mask_name, mask_phone

Column = Sequence[Any] | NDArray[Any]

# Fields of a mapping that name a person or reach one, and how each is masked.
PERSONAL: dict[str, Callable[[str | None], str | None]] = {
    "contractor_name": mask_name,
    "contractor_id_number": mask_id_number,
    "contractor_phone": mask_phone,
    "witness": mask_name,
    "reporter_name": mask_name,
    "reporter_phone": mask_phone,
    "reporter_address": lambda text: text and "*" * len(text),
}
HIDDEN = "（已加密）"


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


class RowSealer:
    """Splits a row of a file as it came into what may be read in the store and what is sealed.

    Readable: codes, numbers and listed values of columns the mapping knows. Sealed: personal fields (a masked form stays
    readable), free text about land (四至 and parcel names name people), and every column the mapping does not know.
    A code or number with Chinese characters in it is sealed too: a shifted column puts names anywhere.

    Parameters
    ----------
    mapping : Mapping
        How the file's columns map onto ours.
    """

    def __init__(self, mapping: FieldMapping) -> None:
        self._mapping = mapping
        self._field = {name.lower(): field for field, rule in mapping.fields.items() for name in rule.names}

    def split(self, row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what is readable, by column, and what is hidden; None and empty values hide nothing."""
        shown: dict[str, Any] = {}
        hidden: dict[str, Any] = {}
        for column, value in row.items():
            field = self._field.get(column.lower())
            if value is None or value == "" or self._readable(field, value):
                shown[column] = value
                continue
            hidden[column] = value
            mask = PERSONAL.get(field or "")
            shown[column] = mask(str(value)) if mask else HIDDEN
        return shown, hidden

    def _readable(self, field: str | None, value: Any) -> bool:
        if field is None or field in PERSONAL:
            return False
        rule = self._mapping.fields[field]
        if rule.kind == "text":
            return self._mapping.subject not in ("parcels", "incidents")
        if rule.kind in ("choice", "tags", "flag"):
            listed = {*self._mapping.choices.get(field, {}), *rule.yes, *rule.no}
            return str(value) in listed or not has_words(str(value))
        return not has_words(str(value))


def has_words(text: str) -> bool:
    """Whether there is a character that a name may be written in: anything beyond ASCII."""
    return not text.isascii()


def seal_rows(
    keys: Keys, *, load_id: int, numbers: Sequence[int], hidden: Sequence[dict[str, Any]]
) -> list[bytes | None]:
    """Encrypt what `RowSealer.split` hid of quarantined rows, each bound to its load and row number."""
    return keys.encrypt_many(
        [json.dumps(h, ensure_ascii=False) if h else None for h in hidden],
        table="intake.quarantine", rows=[f"{load_id}/{n}" for n in numbers], field="sealed",
    )  # fmt: skip


def open_row(keys: Keys, *, load_id: int, number: int, shown: dict[str, Any], sealed: bytes | None) -> dict[str, Any]:
    """Return a quarantined row whole, as it came."""
    if sealed is None:
        return shown
    text = keys.decrypt(sealed, table="intake.quarantine", row=f"{load_id}/{number}", field="sealed")
    return shown | dict(json.loads(text))


def _objects(values: Sequence[Any]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column
