"""What crosses the border of this room: reports in, cases and their steps out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Standing = Literal["on_track", "at_risk", "breached", "paused", "done", "none"]
ActorKind = Literal["account", "reporter", "system", "partner", "import"]


@dataclass(frozen=True)
class Upload:
    """One photo as it came: already on disk, hashed, its header checked, not yet re-encoded.

    Attributes
    ----------
    sha256 : of the bytes as they came; taken_at, azimuth_deg, lonlat (EPSG:4490), accuracy_m: from the phone or the file, None: unknown.
    """

    sha256: bytes
    stage: str
    taken_at: datetime | None = None
    azimuth_deg: float | None = None
    lonlat: tuple[float, float] | None = None
    accuracy_m: float | None = None


@dataclass(frozen=True)
class Report:
    """A new case as somebody hands it in.

    Attributes
    ----------
    key : the sender's own key (UUID): the same key again is the same report.
    lonlat : (lon, lat) in `source_crs` as declared; None: no position (未落点).
    source_crs : EPSG:4326, EPSG:4490, GCJ-02 or BD-09; needed with a position.
    extent : GeoJSON geometry in EPSG:4490 when it is more than a point.
    """

    key: str
    title: str
    process: str = "incident"
    detail: str = ""
    item_code: str | None = None
    channel: str = "public"
    lonlat: tuple[float, float] | None = None
    source_crs: str | None = None
    accuracy_m: float | None = None
    extent: dict[str, Any] | None = None
    answers: dict[str, Any] = field(default_factory=dict)
    photos: tuple[Upload, ...] = ()
    reporter_name: str | None = None
    reporter_phone: str | None = None
    reporter_address: str | None = None
    asset: tuple[str, int] | None = None
    external_ref: str | None = None
    reported_at: datetime | None = None


@dataclass(frozen=True)
class Receipt:
    """What the reporter gets, durable when it is handed out.

    Attributes
    ----------
    follow_code : opens this one case without an account; shown to the reporter only.
    due_words : the deadline and how it was reckoned.
    """

    case_no: str
    follow_code: str
    state: str
    state_name: str
    due_at: datetime | None
    due_words: str
    repeated: bool = False


@dataclass(frozen=True)
class Step:
    """A transition somebody may take now: what a button and its form need."""

    id: str
    name: str
    name_en: str
    tone: str
    needs_reason: bool
    form: tuple[dict[str, Any], ...]
    evidence: tuple[dict[str, Any], ...]
    bulk: bool


@dataclass(frozen=True)
class Taken:
    """A transition somebody wants to take: `revision` is the one they saw."""

    case_no: str
    transition: str
    revision: int
    answers: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    photos: tuple[Upload, ...] = ()


@dataclass(frozen=True)
class Row:
    """A case as lists show it."""

    case_id: int
    case_no: str
    process: str
    state: str
    state_name: str
    revision: int
    title: str
    item_code: str | None
    item_name: str | None
    channel: str
    reported_at: datetime
    due_at: datetime | None
    standing: Standing
    unit: str | None
    unit_name: str | None
    assignee_id: int | None
    assignee_name: str | None
    township_code: str | None
    village_code: str | None
    place: str
    lon: float | None
    lat: float | None
    rating: int | None
    reopened: int


@dataclass(frozen=True)
class Queue:
    """One page of a filtered list; `total` counts every row the filter lets through."""

    rows: tuple[Row, ...]
    total: int
    counts: dict[str, int]


@dataclass(frozen=True)
class Event:
    """One line of a case's history."""

    at: datetime
    transition: str
    name: str
    from_state: str | None
    to_state: str
    actor: str
    note: str | None
    answers: tuple[tuple[str, str], ...]
    due_before: datetime | None
    due_after: datetime | None
    photos: tuple[int, ...] = ()


@dataclass(frozen=True)
class Card:
    """A case, whole, as one person may see it."""

    row: Row
    detail: str | None
    process_name: str
    events: tuple[Event, ...]
    steps: tuple[Step, ...]
    photos: tuple[dict[str, Any], ...]
    parts: tuple[dict[str, Any], ...]
    due_words: tuple[str, ...]
    reporter: dict[str, str | None] | None
    related: tuple[dict[str, Any], ...]
    accuracy_m: float | None
    source_crs: str | None
    extent: dict[str, Any] | None
    data: dict[str, Any]
