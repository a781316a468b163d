"""Which encoding a shapefile's text is in, decided from evidence; and text that is garbled already, recognised."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass

from gis.errors import BadInput

# dBASE language driver ids that name an encoding. Source: ESRI/xBase LDID table; GB18030 is a superset of 936.
LDID = {
    0x03: "cp1252", 0x13: "cp932", 0x4D: "gb18030", 0x4F: "cp950", 0x78: "cp950", 0x7A: "gb18030", 0x7B: "cp932",
    0x01: "cp437", 0x02: "cp850", 0x58: "cp1252", 0x59: "cp1252",
}  # fmt: skip
_CHINESE = {"gb18030", "gbk", "gb2312", "hz", "cp936", "936"}
_WESTERN = {"cp1252", "cp437", "cp850", "iso8859-1", "latin-1"}
# What is left of Chinese text after a wrong conversion; none of it occurs in real names.
_RUINED = re.compile("\ufffd|锟斤拷|烫烫烫|屯屯屯|锘�")
_MANY = 3  # characters: fewer may look like another encoding by chance


@dataclass(frozen=True)
class Evidence:
    """Raw text of a table.

    Attributes
    ----------
    values : list of bytes
        Distinct raw values that hold a byte above 127, padding removed.
    full : list of bool
        True where the value fills its field: its last character may be cut in half by the field's width.
    """

    values: list[bytes]
    full: list[bool]

    def decodes(self, encoding: str) -> bool:
        """True when every value decodes strictly (a half character at the end of a full field is forgiven)."""
        return all(decode(v, encoding, full=f) is not None for v, f in zip(self.values, self.full, strict=True))


def decode(value: bytes, encoding: str, *, full: bool) -> str | None:
    """Decode one value strictly; None when it does not decode. In a full field a cut last character is dropped."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        return decoder.decode(value, final=not full)
    except UnicodeDecodeError:
        return None


def decide(evidence: Evidence, *, ldid: int, cpg: str | None, demanded: str | None, name: str) -> tuple[str, str]:
    """Choose the encoding: demanded, else LDID, else .cpg, else UTF-8 if it decodes strictly, else GB18030.

    Returns
    -------
    encoding : str
        Python's name of it.
    note : str
        How it was found, for the lineage.

    Raises
    ------
    BadInput
        When nothing decodes, or a declaration is contradicted by the text.
    """
    ask = "请问清来源后用 --encoding GB18030 或 --encoding UTF-8 指明。"
    if demanded:
        encoding = _python_name(demanded)
        if encoding is None:
            raise BadInput(f"不认识编码“{demanded}”。", next_step="常用：GB18030、UTF-8。")
        if not evidence.decodes(encoding):
            raise BadInput(
                f"{name} 的文字不是 {demanded} 编码，按它解读会是乱码。", next_step="去掉 --encoding 让程序判断。"
            )
        return encoding, f"按 --encoding {demanded}"
    declared = [(LDID.get(ldid), f"表头 LDID 0x{ldid:02X}"), (_python_name(cpg) if cpg else None, f".cpg {cpg}")]
    for encoding, origin in declared:
        if encoding is None or not evidence.decodes(encoding):
            continue
        _contradicted(evidence, encoding, origin=origin, name=name, ask=ask)
        return encoding, origin
    for encoding, origin in (("utf-8", "文字是严格的 UTF-8"), ("gb18030", "未声明编码，按 GB18030")):
        if evidence.decodes(encoding):
            return encoding, origin if evidence.values else "全是英文和数字，任何编码都一样"
    raise BadInput(f"{name} 的文字用 UTF-8、GB18030 都读不通，可能已经损坏。", next_step=ask)


def _contradicted(evidence: Evidence, encoding: str, *, origin: str, name: str, ask: str) -> None:
    """Refuse a declaration the bytes speak against: UTF-8 labelled GBK, Chinese labelled as a Western code page."""
    if encoding in _CHINESE:
        text = [decode(v, "utf-8", full=f) for v, f in zip(evidence.values, evidence.full, strict=True)]
        if text and None not in text and sum(_han(t) for t in text if t) >= _MANY:
            raise BadInput(f"{name} 的{origin}声明是 GBK，但文字其实是 UTF-8，按声明读会是乱码。", next_step=ask)
    if encoding in _WESTERN:
        for other in ("utf-8", "gb18030"):
            text = [decode(v, other, full=f) for v, f in zip(evidence.values, evidence.full, strict=True)]
            if text and None not in text and sum(_han(t) for t in text if t) >= _MANY:
                raise BadInput(f"{name} 的{origin}声明是西文编码，但文字像是中文，按声明读会是乱码。", next_step=ask)


def garbled(text: str) -> bool:
    """True when `text` is Chinese that was decoded wrongly before it reached us (锟斤拷, 寮犱笁, ÕÅÈý)."""
    if text.isascii():
        return False
    if _RUINED.search(text):
        return True
    for wrote, meant in (("gb18030", "utf-8"), ("latin-1", "gb18030"), ("latin-1", "utf-8"), ("cp1252", "utf-8")):
        try:
            again = text.encode(wrote).decode(meant)
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
        outside = [c for c in again if not c.isascii()]
        if len(outside) >= 2 and all("\u4e00" <= c <= "\u9fff" for c in outside):
            return True
    return False


def any_garbled(values: Iterable[object]) -> bool:
    """True when one of the text values is garbled."""
    return any(isinstance(v, str) and garbled(v) for v in values)


def _han(text: str) -> int:
    return sum("\u4e00" <= c <= "\u9fff" for c in text)


def _python_name(declared: str) -> str | None:
    name = declared.strip().strip("\0").lower().replace(" ", "")
    if name in ("936", "cp936", "gbk", "gb2312", "gb18030", "euc-cn", "ansi936", "ansi 936"):
        return "gb18030"
    if name.startswith("8859") and name[4:].lstrip("-_").isdigit():
        name = f"iso8859-{name[4:].lstrip('-_')}"
    if name.isdigit():
        name = "utf-8" if name == "65001" else f"cp{name}"
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None
