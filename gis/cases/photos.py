"""Photos on disk (照片): taken in whole or not at all, named by their hash, checked before anything is stored, swept when nobody's.

``incoming/<sha256>`` as they came, until they are re-encoded; ``<2>/<sha256>.jpg`` and ``-thumb.jpg``
re-encoded, without a position. A file is on disk, synced, before its row is written; a file without a row is swept later.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import puremagic
from PIL import Image, UnidentifiedImageError
from psycopg import Connection
from psycopg.rows import tuple_row

from gis.clock import ZONE, now
from gis.errors import BadInput, StorageFull, TooLarge
from gis.store.queries import load_queries

T = TypeVar("T")
FORMATS = ("JPEG", "PNG", "WEBP")
MOST_BYTES = 20_000_000  # of one photo; phones of today make 3 to 12 MB
MOST_PIXELS = 40_000_000  # SECURITY.md 17
_KEPT_S = 3600.0  # an incoming file stays this long after its last use, so that a report on its way never loses it
_HEX = re.compile(r"[0-9a-f]{64}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# What a second reader would find in a file that is two things at once. Looked for where such readers look.
_OTHER_HEAD = (b"%PDF-", b"<svg", b"<html", b"<script", b"<?php", b"<!doctype", b"Rar!\x1a\x07", b"MZ\x90\x00")
_OTHER_TAIL = (b"<svg", b"<html", b"<script", b"<?php", b"%PDF-", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c")


@dataclass(frozen=True)
class Seen:
    """What a photo's own header says: EPSG:4490 position, direction, when."""

    taken_at: datetime | None = None
    azimuth_deg: float | None = None
    lonlat: tuple[float, float] | None = None
    accuracy_m: float | None = None


class Photos:
    """The folder of the photos.

    Parameters
    ----------
    folder : Path
        `Settings.photo_folder`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming = folder / "incoming"

    def begin(self) -> Arriving:
        """Begin to take a photo in.

        Raises
        ------
        StorageFull
            When the disk has no room.
        """
        try:
            self.incoming.mkdir(parents=True, exist_ok=True)
            path = self.incoming / f".{secrets.token_hex(12)}.part"
            return Arriving(path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except OSError as e:
            raise _said(e) from e

    def incoming_file(self, upload: bytes) -> Path:
        """Where a photo lies as it came."""
        return self.incoming / upload.hex()

    def ready_file(self, sha256: bytes, *, thumb: bool = False) -> Path:
        """Where a re-encoded photo lies."""
        name = sha256.hex()
        return self.folder / name[:2] / f"{name}{'-thumb' if thumb else ''}.jpg"

    def sweep(self, conn: Connection[Any], *, older_than_s: float = _KEPT_S) -> int:
        """Remove files that belong to no photo any more; returns how many. Rows are never removed."""
        limit, removed = time.time() - older_than_s, 0
        queries = load_queries("cases_jobs")
        waiting: dict[str, Path] = {}
        ready: dict[str, list[Path]] = {}
        for path in list(self.incoming.glob("*")) + list(self.incoming.glob(".*.part")):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime <= limit:
                    if _HEX.fullmatch(path.name):
                        waiting[path.name] = path
                    elif path.name.endswith(".part"):
                        path.unlink()
                        removed += 1
        for path in self.folder.glob("??/*.jpg*"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime <= limit:
                    ready.setdefault(path.name[:64], []).append(path)
        with conn.cursor(row_factory=tuple_row) as cursor:
            for query, files in (("waiting_files", list(waiting)), ("ready_files", list(ready))):
                hashes = [bytes.fromhex(name) for name in files if _HEX.fullmatch(name)]
                needed = {bytes(r[0]).hex() for r in cursor.execute(queries[query], {"hashes": hashes}).fetchall()}
                for name in set(files) - needed:
                    for path in [waiting[name]] if query == "waiting_files" else ready[name]:
                        path.unlink(missing_ok=True)
                        removed += 1
        return removed


@dataclass
class Arriving:
    """One photo on its way in; `write` as it comes, `finish` once, or `drop`."""

    path: Path
    descriptor: int
    size: int = 0

    def __post_init__(self) -> None:
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Add what came.

        Raises
        ------
        TooLarge
            Beyond the largest photo; StorageFull: no room. The file is gone then.
        """
        self.size += len(data)
        if self.size > MOST_BYTES:
            self.drop()
            raise too_large()
        self._hash.update(data)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self.descriptor, view) :]
        except OSError as e:
            self.drop()
            raise _said(e) from e

    def finish(self) -> tuple[bytes, Seen]:
        """Check it, sync it, give it its name; returns its hash and what its header says. Blocking.

        Raises
        ------
        BadInput
            When it is no photo of ours; StorageFull: no room. The file is gone then.
        """
        try:
            found = examine(self.path)
            os.fsync(self.descriptor)
            digest = self._hash.digest()
            os.replace(self.path, self.path.with_name(digest.hex()))
            sync_folder(self.path.parent)
        except OSError as e:
            self.drop()
            raise _said(e) from e
        except BaseException:
            self.drop()
            raise
        self._close()
        return digest, found

    def drop(self) -> None:
        """Forget it."""
        self._close()
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def too_large() -> TooLarge:
    """What is said of a photo that is too large."""
    return TooLarge(
        f"照片太大，每张最多 {MOST_BYTES // 1_000_000} MB。", next_step="请用手机相机的普通尺寸，或先压缩。"
    )


def examine(path: Path) -> Seen:
    """Look at a file's header, and at both ends for anything else it might be; nothing is decoded.

    Raises
    ------
    BadInput
        In words: not a photo, HEIC, too many pixels, two things at once.
    """
    if path.stat().st_size < 64:
        raise BadInput("照片是空的，或没有传完。", next_step="请重新拍照。")
    with path.open("rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
        head = data[:4096]
        if head[4:8] == b"ftyp":
            raise BadInput(
                "这是 HEIC 照片或视频，现在不能收。",
                next_step="请在手机相机设置里改成“兼容性最佳（JPEG）”，或截图后再传。",
            )
        if _kind(head) not in FORMATS:
            raise BadInput("这不是照片。", next_step="请传 JPEG、PNG 或 WebP 照片。")
        if _second_nature(head, data):
            raise BadInput("这个文件不只是照片，还藏着别的内容，没有保存。", next_step="请用手机直接拍照上传。")
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if width < 1 or height < 1 or width * height > MOST_PIXELS:
                raise Image.DecompressionBombError
            return _quiet(lambda: _header(image)) or Seen()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadInput(
            f"照片的像素太多，最多 {MOST_PIXELS // 1_000_000} 百万像素。", next_step="请用手机相机的普通尺寸。"
        ) from None
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        KeyError,
        TypeError,
        IndexError,
        OverflowError,
        EOFError,
    ):
        raise BadInput("这张照片打不开。", next_step="请重新拍照。") from None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _said(e: OSError) -> StorageFull | OSError:
    if e.errno in _FULL:
        return StorageFull("服务器存照片的磁盘满了，没有保存。", next_step="请过一会儿再提交；手机上的内容还在。")
    return e


def _kind(head: bytes) -> str | None:
    """What the first bytes say it is, in Pillow's words."""
    try:
        best = puremagic.magic_string(head)[0]
    except (puremagic.PureError, ValueError, IndexError):
        return None
    names = {".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".webp": "WEBP"}
    signatures = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG"}
    plain = next((kind for magic, kind in signatures.items() if head.startswith(magic)), None)
    if plain is None and head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        plain = "WEBP"
    # Both must agree; puremagic names one of several kinds a JPEG may be.
    return plain if plain is not None and (names.get(best.extension) in (plain, None) or plain == "JPEG") else None


def _second_nature(head: bytes, data: mmap.mmap) -> bool:
    """Whether another program would take the file for something of its own: PDF, page, script, archive."""
    tail_from = max(0, len(data) - 65_600)
    tail = data[tail_from:]
    low_head, low_tail = head.lower(), tail.lower()
    if any(sign.lower() in low_head for sign in _OTHER_HEAD) or any(sign.lower() in low_tail for sign in _OTHER_TAIL):
        return True
    # An archive ends with a directory whose comment reaches exactly to the end of the file.
    at = tail.rfind(b"PK\x05\x06")
    return 0 <= at <= len(tail) - 22 and at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail)


def _header(image: Image.Image) -> Seen:
    """Position, direction and time of the EXIF block; what makes no sense is None."""
    if image.format not in ("JPEG", "MPO", "WEBP"):
        return Seen()
    exif = image.getexif()
    gps, own = exif.get_ifd(0x8825), exif.get_ifd(0x8769)
    taken = _quiet(lambda: _taken_at(own.get(36867) or exif.get(306), own.get(36881)))
    azimuth = _quiet(lambda: float(gps[17]) % 360.0)
    lonlat = _quiet(lambda: (_degrees(gps[4], gps[3]), _degrees(gps[2], gps[1])))
    accuracy = _quiet(lambda: float(gps[31]))
    return Seen(
        taken_at=taken,
        azimuth_deg=azimuth if azimuth is not None and 0 <= azimuth < 360 else None,
        lonlat=lonlat if lonlat is not None and 73 <= lonlat[0] <= 136 and 3 <= lonlat[1] <= 54 else None,
        accuracy_m=accuracy if accuracy is not None and 0 <= accuracy <= 100_000 else None,
    )


def _taken_at(text: Any, offset: Any) -> datetime | None:
    at = datetime.strptime(str(text).strip("\x00 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007
    zone: Any = ZONE
    if offset:
        sign, hours, minutes = str(offset)[0], int(str(offset)[1:3]), int(str(offset)[4:6])
        zone = timezone((1 if sign == "+" else -1) * timedelta(hours=hours, minutes=minutes))
    at = at.replace(tzinfo=zone)
    return at if datetime(2000, 1, 1, tzinfo=ZONE) <= at <= now() + timedelta(days=1) else None


def _degrees(dms: Any, ref: Any) -> float:
    degrees = float(dms[0]) + float(dms[1]) / 60 + float(dms[2]) / 3600
    return -degrees if str(ref).upper().startswith(("S", "W")) else degrees


def _quiet(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except Exception:  # a camera wrote nonsense: nothing is known then
        return None
