"""Faults made for real on the way of a case: SECURITY.md 1, 3, 5, 7, 9 and 16. Real processes, killed; a real server, restarted."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest

from gis.cases.photos import Photos
from gis.settings import Settings
from gis.store.pool import Pool
from tests.case_county import PASSWORD, CaseCounty, case_county
from tests.case_kills import OURS, acknowledged_under_kills, form, half_rows, send, worker_under_kills
from tests.case_serving import memory_kb, serving
from tests.case_web import photo


@pytest.fixture(scope="module")
def county(module_store: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseCounty]:
    folder = tmp_path_factory.mktemp("faults")
    settings = module_store.model_copy(
        update={
            "personal_key_file": folder / "personal.key",
            "photos": folder / "photos",
            "production": True,
            "require_second_factor": False,
        }
    )
    with case_county(settings, folder) as made:
        yield made


def signed_in(base: str, login: str) -> dict[str, str]:
    """The cookie of a session."""
    with httpx.Client() as client:
        answer = client.post(f"{base}/login", data={"login": login, "password": PASSWORD, "next": "/"}, headers=OURS)
        return {"onemap_session": answer.cookies["onemap_session"]}


def test_7_one_key_twenty_times_at_once_over_four_workers(county: CaseCounty) -> None:
    with serving(county.settings, processes=4) as servers, ThreadPoolExecutor(20) as many:
        for _ in range(3):
            key = str(uuid.uuid4())
            files = form(county, photo())
            answers = list(many.map(lambda _, k=key, f=files: send(servers.base, f, k), range(20)))
            assert sorted(a.status_code for a in answers) == [200] * 19 + [201]
            assert (
                len(
                    {
                        json.dumps({k: v for k, v in a.json().items() if k != "repeated"}, sort_keys=True)
                        for a in answers
                    }
                )
                == 1
            )
            rows = county.owner(
                "SELECT count(*) FROM onemap.case_file WHERE case_no = %s", [answers[0].json()["case_no"]]
            )
            assert rows == [(1,)]
            other = send(servers.base, form(county, photo(), title="另一件事"), key)
            assert other.status_code == 422


def test_5_fifty_people_press_one_button_and_one_wins_every_round(county: CaseCounty) -> None:
    with serving(county.settings) as servers, ThreadPoolExecutor(50) as many:
        cookies = [signed_in(servers.base, login) for login in ("planner", "dispatcher")]
        with httpx.Client(timeout=60, limits=httpx.Limits(max_connections=50)) as client:
            for _ in range(6):
                case_no = send(servers.base, form(county), str(uuid.uuid4())).json()["case_no"]
                taken = {"taken": (None, json.dumps({"revision": 0, "answers": {"item": "0303"}}), "application/json")}

                def press(n: int, case_no: str = case_no, taken: Any = taken) -> httpx.Response:
                    cookie = "; ".join(f"{k}={v}" for k, v in cookies[n % 2].items())
                    return client.post(
                        f"{servers.base}/api/cases/{case_no}/accept", files=taken, headers=OURS | {"Cookie": cookie}
                    )

                answers = list(many.map(press, range(50)))
                assert sorted(a.status_code for a in answers) == [200] + [409] * 49
                losers = [a.json() for a in answers if a.status_code == 409]
                assert all("“受理”" in a["message"] and a["card"]["row"]["revision"] == 1 for a in losers)
    twice = county.owner("SELECT case_id, revision FROM onemap.case_event GROUP BY 1, 2 HAVING count(*) > 1")
    assert twice == []


def test_1_kill_nine_in_the_middle_of_reports_loses_nothing_that_was_acknowledged(county: CaseCounty) -> None:
    """Twenty kills here; a hundred in `./onemap bench cases`."""
    acknowledged, lost, _ = acknowledged_under_kills(county, kills=20)
    assert acknowledged > 20
    assert lost == 0
    assert half_rows(county) == []
    store = Photos(county.settings.photo_folder)
    job = Pool(county.settings, role="job", size=1)
    job.open()
    try:
        with job.reading() as conn:
            store.sweep(conn, older_than_s=0)
    finally:
        job.close()
    on_disk = {p.name for p in store.incoming.iterdir()}
    known = {
        bytes(r[0]).hex() for r in county.owner("SELECT upload_sha256 FROM onemap.case_photo WHERE state = 'received'")
    }
    assert on_disk == known


def test_16_a_hundred_megabytes_are_refused_before_they_are_read(county: CaseCounty) -> None:
    with serving(county.settings) as servers:
        send(servers.base, form(county, photo()), str(uuid.uuid4()))  # everything it loads once is loaded
        process = servers.pids[0]
        before = memory_kb(process)
        host, port = "127.0.0.1", servers.listening.getsockname()[1]
        head = (
            f"POST /api/reports HTTP/1.1\r\nHost: {host}:{port}\r\nSec-Fetch-Site: same-origin\r\nIdempotency-Key: {uuid.uuid4()}\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n"
        )
        with socket.create_connection((host, port)) as line:
            # Not a byte of the body is sent: the answer comes all the same.
            line.sendall((head + "Content-Length: 100000000\r\n\r\n").encode())
            line.settimeout(10)
            assert b" 413 " in line.recv(200)
        with socket.create_connection((host, port)) as line:
            # Without a length: it stops reading long before a hundred megabytes have come.
            line.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
            first = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n' + photo()
            line.sendall(b"%x\r\n%b\r\n" % (len(first), first))
            line.settimeout(10)
            sent, block = 0, b"\xff" * 65_536
            try:
                while sent < 100_000_000:
                    line.sendall(b"10000\r\n" + block + b"\r\n")
                    sent += len(block)
            except (ConnectionError, TimeoutError):
                pass
            assert sent < 40_000_000
        assert memory_kb(process) - before <= 20_000
        assert memory_kb(process, "VmHWM") - before <= 20_000
        assert not list((county.settings.photo_folder / "incoming").glob(".*.part"))


def test_9_a_restarted_database_is_back_within_seconds_and_loses_nothing(county: CaseCounty) -> None:
    """Every connection is cut, as a restart does; the cluster itself is shared with other tests and stays up."""
    receipts: dict[str, str] = {}
    errors: list[float] = []
    stop = threading.Event()

    def report(base: str) -> None:
        while not stop.is_set():
            key = str(uuid.uuid4())
            try:
                answer = send(base, form(county), key)
                if answer.status_code == 201:
                    receipts[key] = answer.json()["case_no"]
                else:
                    assert answer.status_code == 503, answer.text
                    errors.append(time.monotonic())
            except httpx.HTTPError:
                errors.append(time.monotonic())
            time.sleep(0.05)

    with serving(county.settings) as servers:
        senders = [threading.Thread(target=report, args=[servers.base]) for _ in range(4)]
        for sender in senders:
            sender.start()
        time.sleep(1)
        from gis.store.engine import connect

        cut_at = time.monotonic()
        with connect(county.settings, role="admin", autocommit=True) as conn:
            for _ in range(5):
                conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'onemap_app'"
                )
                time.sleep(0.3)
        time.sleep(3)
        before = len(receipts)
        time.sleep(2)
        after = len(receipts)
        stop.set()
        for sender in senders:
            sender.join(30)
    assert after > before
    assert all(at - cut_at < 15 for at in errors)
    stored = {r[0] for r in county.owner("SELECT case_no FROM onemap.case_file")}
    assert set(receipts.values()) <= stored


def test_3_a_killed_worker_leaves_no_job_stuck_and_no_effect_twice(county: CaseCounty) -> None:
    """Five kills here; fifty in `./onemap bench cases`."""
    left, twice, seconds = worker_under_kills(county, kills=5)
    assert (left, twice) == (0, 0)
    assert seconds < 90
