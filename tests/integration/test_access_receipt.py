"""A month's receipt from the store, recomputed by other means; the offline page in a real browser."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gis.access import audit
from gis.access.receipt import Slip, receipt, slip
from gis.access.receipt_page import check_page, slip_text
from gis.clock import ZONE, now
from gis.errors import NotFound
from gis.settings import ROOT, Settings
from gis.store.engine import connect
from tests import access_store as a
from tests.e2e.browser import chromium

MONTH = f"{now():%Y-%m}"


@pytest.fixture
def city(store: Settings) -> Settings:
    a.prepare(store)
    for n in range(7):
        with connect(store, role="app") as conn:
            audit.record(conn, action="reveal", object_kind="person", object_id=n, reason="入户核实")
    return store


def by_hand(city: Settings) -> tuple[str, int]:
    """The month's code straight from the table: other SQL, other Python."""
    with connect(city, role="owner") as conn:
        rows = conn.execute(
            "SELECT seq, to_char(at AT TIME ZONE 'PRC', 'YYYY-MM-DD HH24:MI:SS'), action, object_kind, object_id, hash "
            "FROM access.audit WHERE to_char(at AT TIME ZONE 'PRC', 'YYYY-MM') = %s ORDER BY seq", [MONTH],
        ).fetchall()  # fmt: skip
    sha = lambda *parts: hashlib.sha256(b"".join(parts)).digest()  # noqa: E731
    leaves = []
    for *public, row_hash in rows:
        text = "|".join("-" if f is None else f"{len(str(f))}:{f}" for f in public)
        leaves.append(sha(b"\0", sha(text.encode()), bytes(row_hash)))
    while len(leaves) > 1:
        leaves = [
            sha(b"\1", *leaves[i : i + 2]) if i + 1 < len(leaves) else leaves[i] for i in range(0, len(leaves), 2)
        ]
    root = sha(f"onemap receipt\n130529\n{MONTH}\n{len(rows)}\n".encode(), leaves[0])
    number = int.from_bytes(root[:13], "big") >> 4
    text = ""
    for _ in range(20):
        number, digit = divmod(number, 32)
        text = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[digit] + text
    return "-".join(text[i : i + 4] for i in range(0, 20, 4)), len(rows)


def test_the_months_code_is_what_anybody_computes(city: Settings) -> None:
    with connect(city, role="owner") as conn:
        made, _ = receipt(conn, month=MONTH, county="130529", at=now())
    assert (made.code, made.rows) == by_hand(city)
    assert not made.complete
    with connect(city, role="owner") as conn:
        later, _ = receipt(conn, month=MONTH, county="130529", at=now() + timedelta(days=32))
    assert later.complete


def test_any_change_of_any_row_gives_another_code(city: Settings) -> None:
    before, _ = by_hand(city)
    with connect(city, role="admin") as conn:
        conn.execute("ALTER TABLE access.audit DISABLE TRIGGER ALL")
        conn.execute("UPDATE access.audit SET object_id = '99' WHERE object_id = '3'")
    with connect(city, role="owner") as conn:
        assert receipt(conn, month=MONTH, county="130529", at=now())[0].code != before


def test_rows_belong_to_the_countys_month(city: Settings) -> None:
    """A row at 00:30 on the 1st in China is the 31st in Greenwich; it belongs to the new month."""
    with connect(city, role="admin") as conn:
        conn.execute("ALTER TABLE access.audit DISABLE TRIGGER ALL")
        first = datetime(2025, 3, 1, 0, 30, tzinfo=ZONE)
        conn.execute("UPDATE access.audit SET at = %s WHERE object_id = '3'", [first])
        conn.execute("UPDATE access.audit SET at = %s WHERE object_id = '4'", [first - timedelta(hours=1)])
    with connect(city, role="owner") as conn:
        assert receipt(conn, month="2025-03", county="130529", at=now())[0].rows == 1
        assert receipt(conn, month="2025-02", county="130529", at=now())[0].rows == 1
        with pytest.raises(NotFound):
            receipt(conn, month="2025-01", county="130529", at=now())
        with pytest.raises(NotFound, match="没有第 1 条"):
            slip(conn, month="2025-03", county="130529", seq=1, at=now())


def one_slip(city: Settings) -> Slip:
    with connect(city, role="owner") as conn:
        row = conn.execute("SELECT seq FROM access.audit WHERE object_id = '3'").fetchone()
        assert row is not None
        return slip(conn, month=MONTH, county="130529", seq=row[0], at=now())[1]


def test_a_slip_says_what_is_public_and_nothing_else(city: Settings) -> None:
    made = one_slip(city)
    assert made.public[2:] == ["reveal", "person", "3"]
    assert made.code == by_hand(city)[0]
    assert "入户核实" not in slip_text(made)


@pytest.mark.e2e
def test_the_offline_page_agrees_in_a_browser(city: Settings, tmp_path: Path) -> None:
    made = one_slip(city)
    page_file = tmp_path / "check.html"
    page_file.write_text(check_page(ROOT / "data", made), encoding="utf-8")
    with chromium() as browser:
        page = browser.new_context(offline=True).new_page()
        page.goto(page_file.as_uri())

        def answer(code: str, text: str | None = None) -> str:
            if text is not None:
                page.fill("#slip", text)
            page.evaluate("document.getElementById('answer').hidden = true")
            page.fill("#code", code)
            page.click("#check")
            page.wait_for_selector("#answer:not([hidden])")
            return str(page.inner_text("#answer"))

        good = answer(made.code.lower().replace("-", " "))
        assert good.startswith("相符")
        assert "person 3" in good
        last = "0" if made.code[-1] != "0" else "1"
        assert "只有第 20 位不同" in answer(made.code[:-1] + last)
        assert answer("ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ").startswith("不符")
        assert "20 位" in answer("ABC")
        forged = slip_text(made).replace('"person", "3"', '"person", "4"')
        assert forged != slip_text(made)
        assert answer(made.code, forged).startswith("不符")
        assert "不完整" in answer(made.code, slip_text(made)[:-20])
