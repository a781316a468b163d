"""The web over a scratch county with cases: clients that are signed in, photos of a folder of the test's own."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.testclient import TestClient

from dashboard.app import create_app
from gis.settings import Settings
from tests.case_county import PASSWORD, CaseCounty, case_county

OURS = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
_addresses = count()


@dataclass
class CaseWeb:
    """The application over a `CaseCounty`."""

    county: CaseCounty
    server: Any
    settings: Settings

    def client(self, login: str | None = None) -> TestClient:
        """A browser at an address of its own, signed in as somebody."""
        n = next(_addresses)
        client = TestClient(
            self.server, client=(f"10.7.{n // 250}.{n % 250 + 1}", 5000), follow_redirects=False, raise_server_exceptions=False,
            headers=OURS,
        )  # fmt: skip
        if login:
            answer = client.post("/login", data={"login": login, "password": PASSWORD, "next": "/"})
            assert answer.status_code == 303, answer.text
        return client

    def report(self, client: TestClient, *photos: bytes, key: str | None = None, **fields: Any) -> Any:
        """Post a report with photos; answers the response."""
        plain = {
            "title": "村口路灯不亮", "item_code": "0303", "lonlat": list(self.county.at(self.county.scratch.grids[0])),
            "source_crs": "EPSG:4326",
        }  # fmt: skip
        files: list[tuple[str, Any]] = [("report", (None, json.dumps(plain | fields), "application/json"))]
        files += [("photo", (f"{n}.jpg", photo, "image/jpeg")) for n, photo in enumerate(photos)]
        return client.post("/api/reports", files=files, headers={"Idempotency-Key": key or str(uuid.uuid4())})

    def act(
        self, client: TestClient, address: str, revision: int, *photos: bytes, stage: str = "after", **answers: Any
    ) -> Any:
        """Post a step."""
        taken = {"revision": revision, "answers": answers, "photos": [{"stage": stage} for _ in photos]}
        files: list[tuple[str, Any]] = [("taken", (None, json.dumps(taken), "application/json"))]
        files += [("photo", (f"{n}.jpg", photo, "image/jpeg")) for n, photo in enumerate(photos)]
        return client.post(address, files=files)


@contextmanager
def case_web(settings: Settings, folder: Path) -> Iterator[CaseWeb]:
    """Compose it, without a worker of its own."""
    settings = settings.model_copy(
        update={"personal_key_file": folder / "personal.key", "photos": folder / "photos", "production": True,
                "require_second_factor": False}
    )  # fmt: skip
    with case_county(settings, folder) as county:
        server = create_app(settings)
        with TestClient(server, client=("127.0.0.1", 5000)):
            yield CaseWeb(county, server, settings)


def photo(
    *,
    size: tuple[int, int] = (640, 480),
    colour: str = "teal",
    exif: bool = False,
    kind: str = "JPEG",
    noise: bool = False,
) -> bytes:
    """A picture; with `exif` the block a phone writes: place, direction, time, name of the phone."""
    image = Image.effect_noise(size, 60).convert("RGB") if noise else Image.new("RGB", size, colour)
    out = io.BytesIO()
    if not exif:
        image.save(out, kind, quality=88)
        return out.getvalue()
    block = Image.Exif()
    block[0x010F] = "Phone"
    block[306] = "2026:11:20 08:30:00"
    gps = block.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "N", (37.0, 12.0, 30.0), "E", (115.0, 1.0, 15.0)
    gps[16], gps[17], gps[31] = "T", 123.5, 6.0
    image.save(out, kind, exif=block)
    return out.getvalue()
