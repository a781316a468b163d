"""Cases through the web: reports of strangers, steps of people, photos; inputs 13-17 and 21 of SECURITY.md, fault 4."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import time
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from gis.cases.photos import Photos
from gis.jobs.encoding import Encoder, encode_case
from gis.settings import Settings
from gis.store.pool import Pool
from tests.case_web import CaseWeb, case_web, photo


@pytest.fixture(scope="module")
def web(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseWeb]:
    with case_web(module_store, tmp_path_factory.mktemp("cases")) as made:
        yield made


def encode(web: CaseWeb, case_no: str) -> None:
    """What the worker does with a case's photos."""
    case_id = web.county.owner("SELECT case_id FROM onemap.case_file WHERE case_no = %s", [case_no])[0][0]
    pool = Pool(web.settings, role="job", size=2)
    pool.open()

    async def work() -> None:
        encoder = Encoder()
        try:
            await encode_case(case_id, pool=pool, photos=Photos(web.settings.photo_folder), encoder=encoder)
        finally:
            await encoder.stop()

    try:
        asyncio.run(work())
    finally:
        pool.close()


def counted(web: CaseWeb) -> tuple[int, int, int]:
    found = web.county.owner(
        "SELECT (SELECT count(*) FROM onemap.case_file), (SELECT count(*) FROM onemap.case_photo), (SELECT count(*) FROM onemap.submission)"
    )[0]
    return found[0], found[1], found[2]


def test_a_villager_reports_with_a_photo_follows_and_confirms(web: CaseWeb) -> None:
    stranger, planner, member = web.client(), web.client("planner"), web.client("member")
    answer = web.report(stranger, photo(exif=True), reporter_phone="13800001111")
    assert answer.status_code == 201, answer.text
    receipt = answer.json()
    case_no, code = receipt["case_no"], receipt["follow_code"]
    encode(web, case_no)
    assert web.act(planner, f"/api/cases/{case_no}/accept", 0, item="0303").json()["state"] == "accepted"
    assert web.act(member, f"/api/cases/{case_no}/take", 1).json()["revision"] == 2
    assert case_no in {t["case_no"] for t in member.get("/api/tasks").json()["tasks"]}
    assert (
        any(n["case_no"] == case_no for n in member.get("/api/notices").json()["notices"]) is False
    )  # took it, was not told
    done = web.act(member, f"/api/cases/{case_no}/feedback", 2, photo(colour="gold"), result="换好了")
    assert done.status_code == 200, done.text
    followed = stranger.get(f"/api/follow/{code}").json()
    assert followed["row"]["state_name"] == "已办完，等您确认"
    assert followed["data"]["notices"][0]["sent"] == "未接短信网关，没有发出"
    confirmed = web.act(stranger, f"/api/follow/{code}/confirm", 3, rating=5)
    assert confirmed.status_code == 200, confirmed.text
    card = planner.get(f"/api/cases/{case_no}").json()
    assert (card["row"]["state"], card["row"]["rating"], card["reporter"]["phone"]) == ("closed", 5, "138****1111")


def test_what_others_fetch_has_no_position_and_the_case_keeps_it(web: CaseWeb) -> None:
    stranger, planner, elsewhere = web.client(), web.client("planner"), web.client("planner2")
    receipt = web.report(stranger, photo(size=(3000, 2000), exif=True)).json()
    encode(web, receipt["case_no"])
    kept = web.county.owner(
        "SELECT p.photo_id, round(ST_X(p.geom)::numeric, 4), round(ST_Y(p.geom)::numeric, 4), p.azimuth_deg, p.taken_at::text, p.accuracy_m, "
        "p.width, p.height FROM onemap.case_photo p JOIN onemap.case_file c USING (case_id) WHERE c.case_no = %s", [receipt["case_no"]],
    )[0]  # fmt: skip
    assert (float(kept[1]), float(kept[2]), kept[3], kept[5]) == (115.0208, 37.2083, 123.5, 6.0)
    assert kept[4].startswith("2026-11-20 08:30:00")
    assert (kept[6], kept[7]) == (2048, 1365)
    for who, address in (
        (planner, f"/api/photos/{kept[0]}"), (planner, f"/api/photos/{kept[0]}?size=thumb"),
        (stranger, f"/api/photos/{kept[0]}?follow={receipt['follow_code']}"),
    ):  # fmt: skip
        answer = who.get(address)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "private" in answer.headers["cache-control"]
        image = Image.open(io.BytesIO(answer.content))
        assert dict(image.getexif()) == {}
        assert b"Phone" not in answer.content
        assert b"GPS" not in answer.content
    for who, address in (
        (elsewhere, f"/api/photos/{kept[0]}"), (stranger, f"/api/photos/{kept[0]}"),
        (stranger, f"/api/photos/{kept[0]}?follow=00000-00000"), (planner, "/api/photos/999999999"),
    ):  # fmt: skip
        assert who.get(address).status_code == 404


def chunked(png: bytes, kind: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk after its header."""
    at = 8 + 25
    body = len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")
    return png[:at] + body + png[at:]


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is large and is a few bytes."""
    ihdr = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\x00\x00\x00"

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", ihdr)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
        + chunk(b"IEND", b"")
    )


PNG = photo(kind="PNG")
BAD = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>' * 3,
    "html": b"<html><body><script>alert(1)</script></body></html>" * 3,
    "gif": b"GIF89a" + b"\x00" * 200,
    "heic": b"\x00\x00\x00\x18ftypheic" + b"\x00" * 200,
    "empty": b"",
    "cut": photo()[:40],
    "only a header": b"\xff\xd8\xff\xe0" + b"\x00" * 200,
    "40 Mpx and a row": bomb(8000, 5001),
    "a billion pixels": bomb(50_000, 50_000),
    "jpeg and page": photo() + b"<script>alert(1)</script>",
    "jpeg and archive": photo() + b"PK\x05\x06" + b"\x00" * 18,
    "jpeg and pdf": photo()[:20] + b"%PDF-1.4" + photo()[20:],
    "php in a comment": chunked(PNG, b"tEXt", b"Comment\0<?php system($_GET[0]); ?>"),
    "tiff": b"II*\x00" + b"\x00" * 300,
    "exe": b"MZ\x90\x00" + b"\x00" * 300,
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_photo_is_refused_and_nothing_is_stored(web: CaseWeb, name: str) -> None:
    before = counted(web)
    answer = web.report(web.client(), BAD[name])
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.json()["message"]
    assert counted(web) == before
    assert not list((web.settings.photo_folder / "incoming").glob(".*.part"))


def test_a_photo_a_decoder_chokes_on_is_marked_and_never_shown(web: CaseWeb) -> None:
    whole = photo(size=(800, 600), noise=True)
    receipt = web.report(web.client(), whole[: len(whole) // 3]).json()
    encode(web, receipt["case_no"])
    row = web.county.owner(
        "SELECT p.photo_id, p.state FROM onemap.case_photo p JOIN onemap.case_file c USING (case_id) WHERE c.case_no = %s",
        [receipt["case_no"]],
    )[0]
    assert row[1] == "unreadable"
    assert web.client("planner").get(f"/api/photos/{row[0]}").status_code == 404


def test_too_many_pixels_are_seen_without_decoding_them(web: CaseWeb) -> None:
    client = web.client()
    web.report(client)
    spent = time.process_time()
    assert web.report(client, bomb(50_000, 50_000)).status_code == 422
    # 2.5 billion pixels would take minutes and 7 GB; this looks at a header. Generous: a machine that does other things.
    assert time.process_time() - spent < 2


@pytest.mark.parametrize(
    "body",
    ['{"title": "x", "lonlat": [NaN, 37.2], "source_crs": "EPSG:4326"}', '{"title": "x", "lonlat": [Infinity, 37.2], "source_crs": "EPSG:4326"}',
     '{"title": "x", "lonlat": [1e308, -1e308], "source_crs": "EPSG:4326"}', '{"title": "x", "lonlat": [null, null], "source_crs": "EPSG:4326"}',
     '{"title": "x", "lonlat": [1e400, 1], "source_crs": "EPSG:4326"}', '{"title": "x", "lonlat": "115,37", "source_crs": "EPSG:4326"}',
     '{"title": "x", "lonlat": [115.0, 37.2, 5], "source_crs": "EPSG:4326"}', '{"title": "x", "lonlat": [115.0, 37.2]}',
     '{"title": "x", "accuracy_m": -1}', '{"title": "x", "accuracy_m": 1e308}', '{"title": "\\u0000"}', '{"title": 5}', '[]', '{', '{"titel": "x"}',
     '{"title": "x", "extent": {"type": "Polygon", "coordinates": [[[115, 37], [116, 38], [116, 37], [115, 38], [115, 37]]]}}',
     '{"title": "x", "extent": {"type": "LineString", "coordinates": [[115, 1e999], [116, 38]]}}',
     '{"title": "x", "extent": {"type": "GeometryCollection", "geometries": []}}', '{"title": "x", "channel": "hotline"}',
     '{"title": "x", "process": "nothing"}', '{"title": "x", "item_code": "9999"}', '{"title": "x", "answers": {"a": 1}}', '{"title": "' + "长" * 200 + '"}'],
)  # fmt: skip
def test_input_that_makes_no_sense_is_4xx_and_nothing_is_stored(web: CaseWeb, body: str) -> None:
    before = counted(web)
    answer = web.client().post(
        "/api/reports", content=body, headers={"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
    )
    assert 400 <= answer.status_code < 500, answer.text
    assert counted(web) == before


def test_the_database_refuses_them_too(web: CaseWeb) -> None:
    import psycopg

    for wkt in ("POINT(1e308 -1e308)", "POINT(NaN 37)", "POINT(37 115)", "POINT EMPTY"):
        with pytest.raises(psycopg.Error):
            web.county.owner(
                "INSERT INTO onemap.case_file (case_no, state, channel, title, reported_at, geom) VALUES ('XX2026112200001', 'reported', "
                "'public', 'x', now(), ST_GeomFromText(%s, 4490))", [wkt],
            )  # fmt: skip


def test_swapped_coordinates_are_said_to_be_swapped(web: CaseWeb) -> None:
    lon, lat = web.county.at(web.county.scratch.grids[0])
    answer = web.report(web.client(), lonlat=[lat, lon])
    assert answer.status_code == 422
    assert "写反" in answer.json()["message"]


@pytest.mark.parametrize(
    "payload",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "javascript:alert(1)",
        "{{7*7}}",
        "</textarea><svg onload=alert(1)>",
    ],
)
def test_script_comes_back_as_text_in_json(web: CaseWeb, payload: str) -> None:
    planner = web.client("planner")
    receipt = web.report(web.client(), title=payload, detail=payload).json()
    answer = planner.get(f"/api/cases/{receipt['case_no']}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (answer.json()["row"]["title"], answer.json()["detail"]) == (payload, payload)


def test_a_report_saved_by_one_account_is_not_sent_by_another_or_by_nobody(web: CaseWeb) -> None:
    mine = str(web.county.people["member"].account_id)
    for client, expected in ((web.client(), 401), (web.client("planner"), 403), (web.client("member"), 201)):
        files = [
            (
                "report",
                (
                    None,
                    json.dumps({"title": "路灯", "channel": "public" if expected != 201 else "grid"}),
                    "application/json",
                ),
            )
        ]
        answer = client.post(
            "/api/reports", files=files, headers={"Idempotency-Key": str(uuid.uuid4()), "X-Onemap-Account": mine}
        )
        assert answer.status_code == expected, answer.text


def test_a_full_disk_is_507_nothing_half_stored_and_reading_goes_on(web: CaseWeb, tmp_path: Path) -> None:
    """A real full volume: a file system of 1 MB."""
    folder = tmp_path / "full"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no right to mount a file system here")
    store = web.server.state.photos
    own = store.folder, store.incoming
    store.folder, store.incoming = folder, folder / "incoming"
    try:
        before = counted(web)
        answer = web.report(web.client(), photo(size=(1600, 1200), noise=True))
        assert answer.status_code == 507, answer.text
        assert "没有保存" in answer.json()["message"]
        assert counted(web) == before
        assert [p for p in folder.rglob("*") if p.is_file()] == []
        assert web.client("planner").get("/api/cases").status_code == 200
        fits = web.report(web.client(), photo(size=(64, 64)))
        assert fits.status_code == 201
        # gone with its volume
        web.county.owner("UPDATE onemap.case_photo SET state = 'unreadable' WHERE case_id = (SELECT case_id FROM onemap.case_file WHERE case_no = %s)",
                         [fits.json()["case_no"]])  # fmt: skip
    finally:
        store.folder, store.incoming = own
        subprocess.run(["umount", str(folder)], check=False)


def test_files_nobody_knows_are_swept_and_those_of_photos_stay(web: CaseWeb) -> None:
    receipt = web.report(web.client(), photo(colour="navy")).json()
    web.report(web.client(), photo(colour="olive"), title="")  # a second case
    encode(web, receipt["case_no"])
    folder = web.settings.photo_folder
    (folder / "incoming" / ("ab" * 32)).write_bytes(b"x" * 100)
    (folder / "incoming" / ".dead.part").write_bytes(b"x" * 100)
    (folder / "ee").mkdir(exist_ok=True)
    (folder / "ee" / f"{'ee' * 32}.jpg").write_bytes(b"x")
    pool = Pool(web.settings, role="job", size=1)
    pool.open()
    try:
        with pool.reading() as conn:
            Photos(folder).sweep(conn, older_than_s=0)
    finally:
        pool.close()
    left = {p.name for p in (folder / "incoming").iterdir()}
    waiting = {
        bytes(r[0]).hex()
        for r in web.county.owner("SELECT upload_sha256 FROM onemap.case_photo WHERE state = 'received'")
    }
    assert left == waiting
    ready = {bytes(r[0]).hex() for r in web.county.owner("SELECT sha256 FROM onemap.case_photo WHERE state = 'ready'")}
    assert {p.name[:64] for p in folder.glob("??/*.jpg")} == ready
    assert ready
