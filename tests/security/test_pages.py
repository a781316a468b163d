"""What people type comes back as text, never as script; files outside are out of reach; a receipt is what it says."""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from urllib.parse import quote, urlsplit

import pytest
from starlette.testclient import TestClient

from dashboard.http.admin.audit import harmless
from dashboard.http.receipt import checked, normal_code
from gis.access import accounts
from gis.access.receipt import code_of, leaf, node, root_of
from gis.access.rules import AccessRules
from gis.errors import BadRequest
from gis.store.engine import connect
from tests.security.conftest import OURS, PASSWORD, County, browser, sign_in, token_of

pytestmark = pytest.mark.db
CHROMIUM = "/usr/bin/chromium"

PAYLOADS = [
    "<script>hit()</script>", "<img src=x onerror=hit()>", "<svg onload=hit()>", "\"><script>hit()</script>", "'><img src=x onerror=hit()>",
    "\" autofocus onfocus=hit() x=\"", "' onmouseover='hit()", "</textarea><script>hit()</script>", "</title><script>hit()</script>",
    "</option></select><img src=x onerror=hit()>", "<iframe srcdoc='<script>parent.hit()</script>'>", "<a href=javascript:hit()>x</a>",
    "javascript:hit()", "<details open ontoggle=hit()>", "<body onload=hit()>", "<input autofocus onfocus=hit()>", "<video><source onerror=hit()>",
    "<math><mtext><script>hit()</script>", "<style>@import 'javascript:hit()'</style>", "{{constructor.constructor('hit()')()}}", "{{7*7}}",
    "{% print(7*7) %}", "${hit()}", "`${hit()}`", "<!--><script>hit()</script>", "]]><script>hit()</script>", "&lt;script&gt;hit()&lt;/script&gt;",
    "&#60;img src=x onerror=hit()&#62;", "%3Cscript%3Ehit()%3C/script%3E", "\\u003cscript\\u003ehit()\\u003c/script\\u003e",
    "<scr<script>ipt>hit()</script>", "<IMG SRC=x OnErRoR=hit()>", "<img/src=x/onerror=hit()>", "＜script＞hit()＜/script＞",
    "<object data='data:text/html,<script>parent.hit()</script>'>", "<embed src='javascript:hit()'>", "<form action=javascript:hit()><button>",
    "<meta http-equiv=refresh content='0;url=javascript:hit()'>", "<base href='//evil.example/'>", "<link rel=stylesheet href='//evil.example/x.css'>",
    "\u2028hit()\u2029", "<x onclick=hit()>",
]  # fmt: skip
# And every tag that runs something by itself with every event it may run it on, bare, quoted and broken out of a quote.
PAYLOADS += [
    shape.format(tag=tag, event=event)
    for tag, event in (("img src=x", "onerror"), ("svg", "onload"), ("body", "onpageshow"), ("input autofocus", "onfocus"), ("iframe", "onload"),
                       ("audio src=x", "onerror"), ("details open", "ontoggle"), ("marquee", "onstart"), ("object data=x", "onerror"), ("select autofocus", "onfocus"))
    for shape in ("<{tag} {event}=hit()>", "<{tag} {event}='hit()'>", '\"><{tag} {event}=hit()>', "'><{tag}/{event}=hit()//", "<{tag} {event}=\nhit()>", "</style><{tag}\t{event} = hit()>")
]  # fmt: skip


@pytest.mark.e2e
@pytest.mark.skipif(not os.path.exists(CHROMIUM), reason="needs Debian's chromium")
def test_stored_and_reflected_scripts_are_never_run(county: County) -> None:
    from tests.e2e.browser import chromium, watched
    from tests.security.live import live

    rules = AccessRules.load(county.settings.data)
    with connect(county.settings, role="owner") as conn:
        for n, payload in enumerate(PAYLOADS):
            accounts.add(
                conn,
                login=f"xss{n:02d}",
                display_name=payload,
                role="analyst",
                rules=rules,
                unit=payload,
                reason=payload,
            )
    for n, payload in enumerate(PAYLOADS):
        # a login nobody has, and a browser that says odd things about itself
        if payload.isascii() and "\n" not in payload:
            client = TestClient(
                county.server, client=(f"172.16.0.{n}", 1), follow_redirects=False, headers={"User-Agent": payload}
            )
            sign_in(client, "data.officer")
            sign_in(client, payload, "Falsch-2026-tu")
    hits: list[str] = []
    with live(county) as base, chromium() as started, watched(started, base) as seen:
        page = seen.page
        page.expose_function("hit", lambda: hits.append(page.url))
        page.on("dialog", lambda d: (hits.append(page.url), d.dismiss()))
        page.set_content("<img src=x onerror=hit()>")
        page.wait_for_timeout(300)
        assert len(hits) == 1, "the trap itself must work"
        hits.clear()
        visited = 0
        visits = {
            "system.admin": ["/admin/accounts", "/admin/accounts?page=2", "/admin/accounts?page=3", f"/admin/accounts/{max(county.numbers.values()) + 3}"],
            "security.admin": ["/admin/scopes?state=", "/admin/scopes?state=&page=2", "/admin/scopes?state=&page=3", f"/admin/scopes/{max(county.numbers.values()) + 3}", "/admin/sessions"],
            "audit.admin": ["/admin/audit?action=account", "/admin/audit?action=sign_in"],
        }  # fmt: skip
        for login, paths in visits.items():
            page.goto(f"{base}/login?again=1")
            page.fill("#login", login)
            page.fill("#password", PASSWORD)
            page.click("#enter")
            page.wait_for_load_state()
            reflected = [
                f"{p.split('?')[0]}?q={quote(x)}&login={quote(x)}&role={quote(x)}"
                for p in paths[:1]
                for x in PAYLOADS[:12]
            ]
            for path in paths + reflected:
                page.goto(base + path)
                for summary in page.locator("summary").all()[:3]:
                    summary.click()
                strange = page.evaluate(
                    'document.querySelectorAll(\'script:not([src]), iframe, object, embed, base, svg, math, video, img:not([src^="/"]),'
                    " [onerror], [onload], [onfocus], [onclick], [onmouseover], [ontoggle], a[href^=javascript], form[action^=javascript]').length"
                )
                assert strange == 0, path
                visited += 1
        for payload in PAYLOADS:
            page.goto(f"{base}/login?again=1&next={quote(payload)}")
            page.fill("#login", payload[:60])
            page.fill("#password", "x")
            page.click("#enter")
            page.wait_for_load_state()
            visited += 1
        page.wait_for_timeout(300)
        assert hits == []
        assert seen.foreign == []
        assert visited > 80
    assert len(PAYLOADS) >= 100


# files --------------------------------------------------------------------------------------------------------------


def traversals() -> Iterator[str]:
    ups = ["../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..\\", "%252e%252e%252f", "..%252f", "....//", "..;/", "%c0%ae%c0%ae/", "..%c0%af", "..%00/",
           ".%2e/", "%2e./", "//../", "/%2e%2e/", "..%2f..%5c"]  # fmt: skip
    targets = ["app.py", "headers.py", "../pyproject.toml", "../../../../../../etc/passwd"]
    for prefix in ("/assets/", "/vendor/", "/sheet/", "/_dash-component-suites/dash/"):
        for up in ups:
            for target in targets[: 4 if prefix in ("/assets/", "/vendor/") else 2]:
                yield prefix + up + target.replace("../", up)
    yield from ("/assets//etc/passwd", "/vendor//etc/passwd", "/assets/%2fetc%2fpasswd", "/vendor/file:///etc/passwd", "/assets/~root", "/vendor/.",
                "/assets/10-base.css%00.py", "/sheet/login.html", "/sheet/../app.py", "/assets/.", "/assets/%2e")  # fmt: skip


MARKS = ("create_app", "root:x:0", "[project]", "Outermost", "{% extends", "def ")


def fetched(host: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Ask for an address exactly as written; ordinary clients would tidy it first."""
    with closing(http.client.HTTPConnection(host, timeout=10)) as wire:
        wire.putrequest("GET", path)
        for name, value in headers.items():
            wire.putheader(name, value)
        wire.endheaders()
        answer = wire.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")


def test_no_file_outside_is_reached_by_any_spelling(county: County) -> None:
    from tests.security.live import live

    client = browser(county)
    sign_in(client, "commander")
    cookie = {"Cookie": f"onemap_session={token_of(client)}"}
    tried = hits = 0
    with live(county) as base:
        host = urlsplit(base).netloc
        status, text = fetched(host, "/assets/10-base.css", cookie)
        assert (status, "--ground" in text) == (200, True), "the files meant to be served are served"
        for path in traversals():
            status, text = fetched(host, path, cookie)
            tried += 1
            hits += status == 200 and any(mark in text for mark in MARKS)
            assert status in (400, 401, 403, 404, 405), (path, status)
    assert tried >= 200
    assert hits == 0


# forms, tables, receipts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "'=1", "张三", "", "a=b"])
def test_a_cell_is_no_formula_and_comes_back_as_it_was(cell: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerow([harmless(cell)])
    back = next(csv.reader(io.StringIO(out.getvalue(), newline="")))[0]
    assert back[:1] not in ("=", "+", "-", "@", "\t", "\r")
    assert (back[1:] if back.startswith("'") else back) == cell


def test_a_change_without_a_reason_is_not_made(county: County, as_role: Callable[[str], TestClient]) -> None:
    number = county.numbers["analyst"]
    before = county.owner("SELECT state, role FROM access.account WHERE account_id = %s", [number])
    asked = [
        ("system_admin", f"/admin/accounts/{number}", "disable"),
        ("security_admin", f"/admin/scopes/{number}", "role"),
    ]
    for role, path, action in asked:
        for reason in ("", " ", "x"):
            answer = as_role(role).post(
                path, data={"action": action, "role": "planner", "reason": reason}, headers=OURS
            )
            assert answer.status_code == 400
    assert county.owner("SELECT state, role FROM access.account WHERE account_id = %s", [number]) == before


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [(b"a" * 20_000, "application/x-www-form-urlencoded", 413), (b"login=%00", "application/x-www-form-urlencoded", 400),
     (b"login=%ff", "application/x-www-form-urlencoded", 400), (b'{"login": 1}', "application/json", 400),
     ("&".join(f"a{n}=1" for n in range(100)).encode(), "application/x-www-form-urlencoded", 400), (b"\xff", "application/x-www-form-urlencoded", 400)],
)  # fmt: skip
def test_forms_that_are_none_are_refused_in_words(county: County, content: bytes, kind: str, status: int) -> None:
    answer = browser(county).post("/login", content=content, headers=OURS | {"Content-Type": kind})
    assert answer.status_code == status
    assert 'role="alert"' in answer.text


def test_a_receipt_leads_to_the_board_or_not(anybody: TestClient) -> None:
    public: list[str | None] = ["7", "2026-10-03 10:00:00", "reveal", "person", None]
    row_hash, other = bytes(range(32)), bytes(reversed(range(32)))
    top = node(other, leaf(public, row_hash))
    code = code_of(root_of(top, month="2026-10", county="测试县", rows=2))
    slip = {
        "month": "2026-10",
        "county": "测试县",
        "rows": 2,
        "public": public,
        "row_hash": row_hash.hex(),
        "path": [["left", other.hex()]],
    }
    assert checked(json.dumps(slip), code).good
    assert checked(json.dumps(slip), code.lower().replace("-", " ")).good
    for change in (
        {"rows": 3},
        {"public": ["8", *public[1:]]},
        {"row_hash": other.hex()},
        {"path": [["right", other.hex()]]},
        {"month": "2026-09"},
    ):
        assert not checked(json.dumps(slip | change), code).good
    for bad in ("", "[]", "{", json.dumps(slip | {"extra": 1}), json.dumps(slip | {"row_hash": "zz"}), "[" * 9000):
        with pytest.raises(BadRequest):
            checked(bad, code)
    with pytest.raises(BadRequest):
        normal_code("ABCD")
    page = anybody.post("/receipt", data={"slip": json.dumps(slip), "code": code}, headers=OURS)
    assert "对得上" in page.text
    offline = anybody.get("/receipt/offline")
    assert "attachment" in offline.headers["content-disposition"]
    assert "{{" not in offline.text
