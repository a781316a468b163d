"""The attribute table of a shapefile (.dbf), read as the text it is: nothing rounded, nothing guessed."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etl.encoding import Evidence, decide, decode
from gis.errors import BadInput

_TEXT = "C"
_KEPT = "CNFDL"  # text, numbers, date, logical; memo and binary fields stay unread
_EVIDENCE_ROWS = 20_000  # rows whose text decides the encoding
_EVIDENCE_VALUES = 20_000


@dataclass
class Table:
    """One .dbf.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        What people call it.
    count : int
        Records, deleted ones included.
    fields : list of (name, type, width)
        In file order; names decoded.
    encoding, encoding_note : str
        Chosen by `etl.encoding.decide`.
    """

    path: Path
    name: str
    count: int
    header: int
    width: int
    fields: list[tuple[str, str, int]]
    encoding: str = ""
    encoding_note: str = ""
    _seen: dict[tuple[bytes, bool], str | None] = field(default_factory=dict, repr=False)

    @property
    def columns(self) -> list[str]:
        """Names of the fields we read."""
        return [n for n, kind, _ in self.fields if kind in _KEPT]

    def records(self) -> NDArray[np.void]:
        """The records as bytes, mapped from disk, shape (count,)."""
        names = ["_deleted", *(f"f{i}" for i in range(len(self.fields)))]
        widths = [1, *(w for _, _, w in self.fields)]
        offsets = np.concatenate([[0], np.cumsum(widths)[:-1]])
        dtype = np.dtype({"names": names, "formats": [f"V{w}" for w in widths], "offsets": offsets.tolist(),
                          "itemsize": self.width})  # fmt: skip
        if self.count == 0:
            return np.empty(0, dtype=dtype)
        return np.memmap(self.path, dtype=dtype, mode="r", offset=self.header, shape=(self.count,))

    def deleted(self) -> int:
        """Records marked as deleted: no reader returns them."""
        return int((np.ascontiguousarray(self.records()["_deleted"]).view("S1") == b"*").sum())

    def read(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.object_]]:
        """Read rows by record number (0-based) as text; blank → None; a value that does not decode → U+FFFD in it."""
        records = self.records()[rows]
        result: dict[str, NDArray[np.object_]] = {}
        self._seen.clear()
        for i, (name, kind, width) in enumerate(self.fields):
            if kind not in _KEPT:
                continue
            raw = np.ascontiguousarray(records[f"f{i}"]).view(f"S{width}")
            # S drops trailing NULs; the pad of blanks goes here
            values = [self._text(v, kind, width) for v in raw.tolist()]
            result[name] = np.array(values, dtype=object)
        return result

    def _text(self, value: bytes, kind: str, width: int) -> str | None:
        full = kind == _TEXT and len(value) == width and value[-1:] > b"\x7f"
        key = (value, full)
        if key in self._seen:
            return self._seen[key]
        stripped = value if full else value.strip(b" \0\t")
        text = decode(stripped, self.encoding, full=full)
        if text is None:
            text = stripped.decode(self.encoding, errors="replace")
        text = text.strip(" \0\t\u3000")
        if kind != _TEXT and text and set(text) <= {"*"}:
            text = ""  # dBASE fills a number that overflowed its field with stars: unknown
        answer = text or None
        if len(self._seen) < 500_000:
            self._seen[key] = answer
        return answer


def open_table(path: Path, *, name: str, cpg: str | None, demanded: str | None) -> Table:
    """Read the header of a .dbf and decide its encoding.

    Parameters
    ----------
    name : str
        What people call the file.
    cpg : str or None
        Text of the .cpg beside it.
    demanded : str or None
        ``--encoding``.

    Raises
    ------
    BadInput
        When the table is damaged or its text is garbled.
    """
    size = path.stat().st_size
    with path.open("rb") as f:
        head = f.read(32)
        if len(head) < 32:
            raise _damaged(name, "文件头不完整")
        count, header, width = struct.unpack("<IHH", head[4:12])
        descriptors = f.read(max(header - 32, 0))
    fields: list[tuple[bytes, str, int]] = []
    for at in range(0, len(descriptors), 32):
        part = descriptors[at : at + 32]
        if part[:1] == b"\r" or len(part) < 32:
            break
        fields.append((part[:11].split(b"\0")[0], chr(part[11]), part[16]))
    if not fields or width != 1 + sum(w for _, _, w in fields):
        raise _damaged(name, "字段表与记录长度对不上")
    if size < header + count * width:
        raise _damaged(name, f"应有 {count} 条记录，文件只够 {max(size - header, 0) // width} 条")
    raw = Table(path=path, name=name, count=count, header=header, width=width, fields=[])
    raw.fields = [(str(i), kind, w) for i, (_, kind, w) in enumerate(fields)]
    evidence = _evidence(raw, names=[n for n, _, _ in fields])
    encoding, note = decide(evidence, ldid=head[29], cpg=cpg, demanded=demanded, name=name)
    decoded = [(n.decode(encoding, errors="replace").strip(), kind, w) for n, kind, w in fields]
    raw.fields, raw.encoding, raw.encoding_note = decoded, encoding, note
    return raw


def _evidence(table: Table, *, names: list[bytes]) -> Evidence:
    """Distinct raw text with bytes above 127, from rows spread over the whole table."""
    step = max(1, table.count // _EVIDENCE_ROWS)
    records = table.records()[::step]
    values: dict[tuple[bytes, bool], None] = {(n, len(n) >= 10): None for n in names if max(n, default=0) > 127}
    for i, (_, kind, width) in enumerate(table.fields):
        if kind != _TEXT:
            continue
        for v in set(np.ascontiguousarray(records[f"f{i}"]).view(f"S{width}").tolist()):
            full = len(v) == width and v[-1:] > b"\x7f"
            kept = v if full else v.strip(b" \0\t")
            if not kept.isascii():
                values[(kept, full)] = None
        if len(values) > _EVIDENCE_VALUES:
            break
    return Evidence([v for v, _ in values], [f for _, f in values])


def _damaged(name: str, why: str) -> BadInput:
    return BadInput(f"属性表 {name} 已损坏：{why}。", next_step="请向提供方重要一份完整的 shapefile。")
