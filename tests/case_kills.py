"""Killing for real: reports on and on while the web dies, photos re-encoded while the worker dies; and what is left."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from typing import Any

import httpx2 as httpx

from gis.cases.model import Upload
from gis.cases.photos import Photos
from tests.case_county import CaseCounty
from tests.case_serving import Servers, serving, until
from tests.case_web import photo

OURS = {"Sec-Fetch-Site": "same-origin"}


def form(county: CaseCounty, *photos: bytes, **fields: Any) -> list[tuple[str, Any]]:
    """A report as a browser posts it."""
    plain = {
        "title": "村口路灯不亮",
        "item_code": "0303",
        "lonlat": list(county.at(county.scratch.grids[0])),
        "source_crs": "EPSG:4326",
    }
    files: list[tuple[str, Any]] = [("report", (None, json.dumps(plain | fields), "application/json"))]
    return files + [("photo", (f"{n}.jpg", p, "image/jpeg")) for n, p in enumerate(photos)]


def send(base: str, files: list[tuple[str, Any]], key: str, *, timeout: float = 20) -> httpx.Response:
    """Post it over a connection of its own."""
    with httpx.Client(timeout=timeout) as client:
        return client.post(f"{base}/api/reports", files=files, headers=OURS | {"Idempotency-Key": key})


def acknowledged_under_kills(county: CaseCounty, *, kills: int) -> tuple[int, int, int]:
    """Report on and on while the web is killed again and again; returns (acknowledged, lost or not whole, sent again)."""
    receipts: dict[str, dict[str, Any]] = {}
    unsure: list[str] = []
    files: dict[str, list[tuple[str, Any]]] = {}
    stop = threading.Event()

    def report(servers: Servers) -> None:
        while not stop.is_set():
            key = str(uuid.uuid4())
            files[key] = form(county, photo(colour=random.choice(["red", "green", "blue"])), detail=key)
            try:
                answer = send(servers.base, files[key], key, timeout=10)
                if answer.status_code in (200, 201):
                    receipts[key] = answer.json()
                else:
                    unsure.append(key)
            except httpx.HTTPError:
                unsure.append(key)

    with serving(county.settings, processes=2) as servers:
        senders = [threading.Thread(target=report, args=[servers]) for _ in range(4)]
        for sender in senders:
            sender.start()
        for _ in range(kills):
            time.sleep(random.uniform(0.02, 0.25))
            servers.kill(random.choice(servers.pids))
            servers.start()
        stop.set()
        for sender in senders:
            sender.join(30)
        # what a phone does: send again what was not answered, under the same key
        for key in unsure:
            answer = send(servers.base, files[key], key)
            if answer.status_code in (200, 201):
                receipts[key] = answer.json()
    lost = 0
    for key, receipt in receipts.items():
        found = county.owner(
            "SELECT c.case_no, c.detail, (SELECT count(*) FROM onemap.case_event e WHERE e.case_id = c.case_id), "
            "(SELECT count(*) FROM onemap.case_photo p WHERE p.case_id = c.case_id), r.case_id IS NOT NULL, a.seq IS NOT NULL "
            "FROM onemap.submission s JOIN onemap.case_file c USING (case_id) LEFT JOIN personal.reporter r USING (case_id) "
            "LEFT JOIN access.audit a ON a.object_kind = 'case' AND a.object_id = c.case_id::text AND a.action = 'case.report' WHERE s.key = %s", [key],
        )  # fmt: skip
        lost += found != [(receipt["case_no"], key, 1, 1, True, True)]
    return len(receipts), lost, len(unsure)


def half_rows(county: CaseCounty) -> list[Any]:
    """Cases that lack a part of themselves."""
    return county.owner(
        "SELECT c.case_no FROM onemap.case_file c WHERE c.load_id IS NULL AND c.channel = 'public' AND ("
        "NOT EXISTS (SELECT FROM onemap.case_event e WHERE e.case_id = c.case_id) "
        "OR NOT EXISTS (SELECT FROM personal.reporter r WHERE r.case_id = c.case_id) "
        "OR NOT EXISTS (SELECT FROM onemap.submission s WHERE s.case_id = c.case_id))"
    )


def photographed(county: CaseCounty) -> str:
    """A report with a photo, taken by the engine in this process; its number."""
    arriving = Photos(county.settings.photo_folder).begin()
    arriving.write(photo(size=(1200, 900), noise=True))
    digest, _ = arriving.finish()
    return county.report(photos=(Upload(digest, "before"),)).case_no


def worker_under_kills(county: CaseCounty, *, kills: int) -> tuple[int, int, float]:
    """Kill the worker in the middle of photos; returns (photos or jobs left, effects done twice, seconds from the last kill to the end)."""
    begun = int(county.owner("SELECT coalesce(max(photo_id), 0) FROM onemap.case_photo")[0][0])
    numbers = [photographed(county) for _ in range(kills + 8)]
    county.owner("CREATE TABLE IF NOT EXISTS public.effect (photo_id bigint)")
    county.owner("CREATE OR REPLACE FUNCTION public.note_effect() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
                 "$$ BEGIN INSERT INTO public.effect VALUES (NEW.photo_id); RETURN NULL; END $$")  # fmt: skip
    county.owner(
        "CREATE OR REPLACE TRIGGER note_effect AFTER UPDATE OF state ON onemap.case_photo FOR EACH ROW EXECUTE FUNCTION public.note_effect()"
    )

    def left() -> int:
        return int(
            county.owner("SELECT count(*) FROM onemap.case_photo WHERE state = 'received' AND photo_id > %s", [begun])[
                0
            ][0]
            + county.owner(
                "SELECT count(*) FROM jobs.procrastinate_jobs WHERE task_name = 'photo.encode' AND status IN ('todo', 'doing')"
            )[0][0]
        )

    with serving(county.settings, worker=True) as servers:
        for _ in range(kills):
            time.sleep(random.uniform(0.1, 0.6))
            servers.kill(servers.pids[0])
            servers.start()
        last = time.monotonic()
        until(lambda: left() == 0, seconds=90)
        took = time.monotonic() - last
    twice = county.owner("SELECT count(*) FROM (SELECT FROM public.effect GROUP BY photo_id HAVING count(*) > 1) d")[0][
        0
    ]
    ready = county.owner(
        "SELECT count(*) FROM onemap.case_photo p JOIN onemap.case_file c USING (case_id) WHERE p.state = 'ready' AND c.case_no = ANY (%s)",
        [numbers],
    )[0][0]
    county.owner("DROP TRIGGER note_effect ON onemap.case_photo")
    return left() + len(numbers) - int(ready), int(twice), took
