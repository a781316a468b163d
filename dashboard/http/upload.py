"""A posted form with photos, read as it comes: limits before reading, photos straight to disk, nothing kept when it breaks off."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import anyio.to_thread
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from gis.cases.model import Upload
from gis.cases.photos import MOST_BYTES, Arriving, Photos, too_large
from gis.cases.place import position
from gis.errors import BadRequest, OnemapError, TooLarge

_MOST_JSON = 300_000  # an extent of 5,000 vertices
_MOST_PHOTOS = 9
_MOST_BODY = 60_000_000


class PhotoNote(BaseModel):
    """What the phone says of a photo, beside what its file says."""

    model_config = ConfigDict(extra="ignore")
    stage: str = Field(default="before", pattern="^(before|after|evidence|confirm)$")
    taken_at: datetime | None = None
    azimuth_deg: float | None = Field(default=None, ge=0, lt=360)
    lonlat: tuple[float, float] | None = None
    source_crs: str = "EPSG:4326"
    accuracy_m: float | None = Field(default=None, ge=0, le=100_000)


@dataclass
class Posted:
    """A form: its JSON part, and its photos on disk."""

    content: dict[str, Any]
    photos: tuple[Upload, ...]


@dataclass
class _Reader:
    """Takes what the parser finds: the one JSON part into memory, photos to disk."""

    name: str
    store: Photos
    json: bytearray = field(default_factory=bytearray)
    arriving: list[Arriving] = field(default_factory=list)
    header: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    part: str | None = None
    seen: bool = False
    ended: bool = False
    error: OnemapError | None = None

    def callbacks(self) -> dict[str, Any]:
        """What the parser calls."""
        return {
            "on_part_begin": self.begin, "on_header_field": self.on_field, "on_header_value": self.on_value,
            "on_header_end": self.header_end, "on_part_data": self.data, "on_headers_finished": self.headers_done, "on_end": self.end,
        }  # fmt: skip

    def begin(self) -> None:
        self.part = None
        self.header.clear()
        self.value.clear()

    def on_field(self, data: bytes, start: int, end: int) -> None:
        self.header += data[start:end]

    def on_value(self, data: bytes, start: int, end: int) -> None:
        self.value += data[start:end]

    def header_end(self) -> None:
        if bytes(self.header).lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self.value))
            self.part = options.get(b"name", b"").decode("utf-8", "replace")
        self.header.clear()
        self.value.clear()

    def headers_done(self) -> None:
        if self.part == "photo":
            if len(self.arriving) >= _MOST_PHOTOS:
                raise TooLarge(f"照片最多 {_MOST_PHOTOS} 张。", next_step="请去掉几张再提交。")
            self.arriving.append(self.store.begin())
        elif self.part == self.name and not self.seen:
            self.seen = True
        else:
            raise BadRequest(f"表单里有不认识的部分 {str(self.part)[:20]}。", next_step=f"只要 {self.name} 和 photo。")

    def data(self, data: bytes, start: int, end: int) -> None:
        if self.part == "photo":
            self.arriving[-1].write(data[start:end])
        else:
            self.json += data[start:end]
            if len(self.json) > _MOST_JSON:
                raise TooLarge("填写的内容太长。", next_step="请缩短后再提交。")

    def end(self) -> None:
        self.ended = True


async def read_posted(request: Request, *, name: str, store: Photos) -> Posted:
    """Read a form of one JSON part and photos; plain JSON does too when there are no photos.

    Parameters
    ----------
    name : str
        The JSON part: ``report`` or ``taken``.

    Raises
    ------
    TooLarge
        By the length that was announced, before anything is read; or as soon as it has come.
    BadRequest, BadInput
        What is wrong with it; StorageFull: no room. Photos taken in so far are gone then.
    """
    announced = request.headers.get("content-length")
    if announced is not None and (not announced.isdigit() or int(announced) > _MOST_BODY):
        raise too_large() if announced.isdigit() else BadRequest("请求有误。", next_step="请重新提交。")
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind == b"application/json":
        return Posted(_parsed(await _whole(request)), ())
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise BadRequest("提交的格式不对。", next_step=f"用 multipart/form-data：{name} 和 photo。")
    reader = _Reader(name, store)
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > _MOST_BODY:
                raise too_large()
            parser.write(chunk)
        if not reader.ended or not reader.seen:
            raise BadRequest("提交的内容没有传完。", next_step="请再提交一次。")
        content = _parsed(bytes(reader.json))
        notes = _notes(content.pop("photos", None), len(reader.arriving))
        photos = [
            _upload(note, *(await anyio.to_thread.run_sync(a.finish)))
            for note, a in zip(notes, reader.arriving, strict=True)
        ]
        return Posted(content, tuple(photos))
    except BaseException as e:
        for arriving in reader.arriving:
            with suppress(OSError):
                arriving.drop()
        if isinstance(e, (OnemapError, ClientDisconnect)) or not isinstance(e, Exception):
            raise
        raise BadRequest("提交的格式不对。", next_step="请再提交一次。") from e


async def _whole(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_JSON:
            raise TooLarge("填写的内容太长。", next_step="请缩短后再提交。")
    return bytes(body)


def _parsed(body: bytes) -> dict[str, Any]:
    """JSON, read by a parser that knows neither NaN nor Infinity nor numbers beyond a double."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise BadRequest("提交的内容不是 JSON 对象，或有不能表示的数。", next_step="请检查后再提交。")
    return content


def _notes(given: Any, photos: int) -> list[PhotoNote]:
    if given is None:
        return [PhotoNote() for _ in range(photos)]
    if not isinstance(given, list) or len(given) != photos:
        raise BadRequest("照片的说明和照片数目不符。", next_step="photos 里每张照片一项，次序相同。")
    try:
        return [PhotoNote.model_validate(one) for one in given]
    except ValidationError as e:
        raise BadRequest("照片的说明不对。", next_step="核对 stage、taken_at、lonlat、azimuth_deg、accuracy_m。") from e


def _upload(note: PhotoNote, sha256: bytes, seen: Any) -> Upload:
    """The phone's word first: it knows its position now; the file's own otherwise."""
    lonlat = None
    if note.lonlat is not None:
        found = position(note.lonlat, note.source_crs)
        if found is not None and 73 <= found.lon <= 136 and 3 <= found.lat <= 54:
            lonlat = (found.lon, found.lat)
    taken = note.taken_at if note.taken_at is not None and note.taken_at.tzinfo is not None else None
    return Upload(
        sha256=sha256, stage=note.stage, taken_at=taken or seen.taken_at,
        azimuth_deg=note.azimuth_deg if note.azimuth_deg is not None else seen.azimuth_deg, lonlat=lonlat or seen.lonlat,
        accuracy_m=note.accuracy_m if note.accuracy_m is not None else seen.accuracy_m,
    )  # fmt: skip


__all__ = ["MOST_BYTES", "PhotoNote", "Posted", "read_posted"]
