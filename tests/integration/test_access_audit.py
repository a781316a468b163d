"""The audit trail: added only, and every way of tampering with it is found at its row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from gis.access import audit, audit_head
from gis.access.audit_head import earlier, remember, remembered
from gis.access.principal import current
from gis.errors import SetupProblem
from gis.settings import Settings
from gis.store.engine import connect
from tests import access_store as a

ROWS = 12


@pytest.fixture
def city(store: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A store with exactly ROWS audit rows, every column filled in the even ones; head file in a folder of its own."""
    a.prepare(store)
    clerk = a.add_account(store, "target", "planner", password=None)
    with connect(store, role="admin") as conn:  # rows of the set-up do not matter here
        conn.execute("ALTER TABLE access.audit DISABLE TRIGGER ALL")
        conn.execute("DELETE FROM access.audit")
        conn.execute("UPDATE access.audit_head SET seq = 0, hash = sha256('onemap audit'::bytea)")
        conn.execute("ALTER TABLE access.audit ENABLE TRIGGER ALL")
    for n in range(1, ROWS + 1):
        with a.acting(store, clerk, address="2001:db8::7" if n % 4 else "10.0.0.9") as conn:
            if n % 2:
                audit.record(conn, action="look")
            else:
                audit.record(
                    conn, action="write", object_kind="parcel", object_id=n, before={"a": 1}, after={"a": 2}, reason="核实 | 1:1",
                    detail={"n": n, "name": "甲|乙"},
                )  # fmt: skip
    monkeypatch.setattr(audit_head, "head_file", lambda _settings: tmp_path / "audit-head.json")
    return store


def tamper(city: Settings, *statements: str) -> None:
    """Change history as a superuser can: triggers off."""
    with connect(city, role="admin") as conn:
        conn.execute("ALTER TABLE access.audit DISABLE TRIGGER ALL")
        for statement in statements:
            conn.execute(statement.encode())
        conn.execute("ALTER TABLE access.audit ENABLE TRIGGER ALL")


def verdict(city: Settings) -> audit.Verdict:
    with connect(city, role="owner") as conn:
        return audit.verify(conn, remembered=remembered(city, conn))


def test_a_sound_trail_is_sound(city: Settings) -> None:
    found = verdict(city)
    assert (found.rows, found.bad_seq, found.fault) == (ROWS, None, "")


def test_an_empty_trail_is_sound(city: Settings) -> None:
    tamper(
        city, "DELETE FROM access.audit", "UPDATE access.audit_head SET seq = 0, hash = sha256('onemap audit'::bytea)"
    )
    assert verdict(city).bad_seq is None


CHANGES = {
    "at": "at = at + interval '1 microsecond'", "account_id": "account_id = account_id + 1", "account gone": "account_id = NULL",
    "login": "login = 'targeu'", "role": "role = 'plannes'", "action": "action = 'wrjte'", "object_kind": "object_kind = 'parcem'",
    "object_id": "object_id = '7'", "address": "address = '2001:db8::8'", "netmask": "address = set_masklen(address, 24)",
    "before": "before_digest = 'e' || substr(before_digest, 2)", "after": "after_digest = NULL", "reason": "reason = '核实 | 1:2'",
    "reason empty": "reason = ''", "detail": """detail = jsonb_set(detail, '{n}', '7')""", "detail emptied": "detail = '{}'",
    "hash": "hash = set_byte(hash, 31, get_byte(hash, 31) # 1)", "previous": "previous = set_byte(previous, 0, get_byte(previous, 0) # 1)",
    "moved between fields": "object_kind = object_id, object_id = object_kind",
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_one_changed_column_is_found_at_its_row(city: Settings, change: str) -> None:
    tamper(city, f"UPDATE access.audit SET {CHANGES[change]} WHERE seq = 6")  # noqa: S608
    found = verdict(city)
    assert found.bad_seq == 6, found
    assert found.head.seq == 5


def test_every_column_has_a_change_above(city: Settings) -> None:
    with connect(city, role="owner") as conn:
        columns = {
            r[0]
            for r in conn.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = 'access.audit'::regclass AND attnum > 0 AND NOT attisdropped"
            ).fetchall()
        }
    changed = {c.strip().partition(" =")[0] for change in CHANGES.values() for c in change.split(", ") if " = " in c}
    assert columns - changed == {"seq"}  # numbers: the tests of removed and re-ordered rows


@pytest.mark.parametrize(("statements", "bad", "words"), [
    (["DELETE FROM access.audit WHERE seq = 6"], 6, "不见了"),
    (["DELETE FROM access.audit WHERE seq = 1"], 1, "不见了"),
    (["DELETE FROM access.audit WHERE seq > 9"], 10, "尾部"),
    (["DELETE FROM access.audit WHERE seq = 12"], 12, "尾部"),
    (["DELETE FROM access.audit"], 1, "尾部"),
    (["UPDATE access.audit SET seq = -seq WHERE seq IN (6, 7)", "UPDATE access.audit SET seq = 13 + seq WHERE seq < 0"], 6, "接不上"),
    (["UPDATE access.audit SET seq = 99 WHERE seq = 12"], 12, "不见了"),
    (["UPDATE access.audit_head SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1)"], 12, "链头"),
    (["UPDATE access.audit_head SET seq = 13"], 13, "尾部"),
    (["INSERT INTO access.audit SELECT 13, at, account_id, login, role, action, object_kind, object_id, address, before_digest, "
      "after_digest, reason, detail, previous, hash FROM access.audit WHERE seq = 12"], 13, "接不上"),
])  # fmt: skip
def test_removed_reordered_and_added_rows_are_found(
    city: Settings, statements: list[str], bad: int, words: str
) -> None:
    tamper(city, *statements)
    found = verdict(city)
    assert (found.bad_seq, words in found.fault) == (bad, True), found


REWRITE = """
DO $$
DECLARE r access.audit; h bytea;
BEGIN
  SELECT hash INTO h FROM access.audit WHERE seq = 5;
  UPDATE access.audit SET reason = '别的' WHERE seq = 6;
  FOR r IN SELECT * FROM access.audit WHERE seq >= 6 ORDER BY seq LOOP
    r.previous := h;
    h := sha256(h || convert_to(access.audit_text(r), 'UTF8'));
    UPDATE access.audit SET previous = r.previous, hash = h WHERE seq = r.seq;
  END LOOP;
  UPDATE access.audit_head SET hash = h;
END $$"""
CUT = ["DELETE FROM access.audit WHERE seq > 9",
       "UPDATE access.audit_head h SET seq = 9, hash = (SELECT hash FROM access.audit WHERE seq = 9)"]  # fmt: skip


def test_a_cut_tail_with_a_patched_head_is_found_by_the_note_outside(city: Settings) -> None:
    with connect(city, role="owner") as conn:
        assert remember(city, conn).seq == ROWS
    tamper(city, *CUT)
    found = verdict(city)
    assert (found.bad_seq, found.head.seq) == (10, 9)
    audit_head.head_file(city).unlink()
    assert verdict(city).bad_seq is None  # only the note outside knows: it is worth copying away


def test_a_tail_cut_and_grown_again_is_found_by_the_note_outside(city: Settings) -> None:
    with connect(city, role="owner") as conn:
        remember(city, conn)
    tamper(city, *CUT)
    for _ in range(5):
        with connect(city, role="app") as conn:
            audit.record(conn, action="later")
    found = verdict(city)
    assert (found.bad_seq, "留底" in found.fault) == (12, True)


def test_a_chain_rewritten_with_all_its_hashes_is_found_by_the_note_outside(city: Settings) -> None:
    with connect(city, role="owner") as conn:
        remember(city, conn)
    tamper(city, REWRITE)
    with connect(city, role="owner") as conn:
        assert audit.verify(conn).bad_seq is None  # in itself it is a sound chain again
    found = verdict(city)
    assert (found.bad_seq, "留底" in found.fault) == (12, True)


def test_heads_are_noted_once_each_and_of_each_database_apart(city: Settings) -> None:
    with connect(city, role="app") as conn:  # the web notes them too
        remember(city, conn)
        remember(city, conn)
    assert len(audit_head.head_file(city).read_text().splitlines()) == 1
    assert audit_head.head_file(city).stat().st_mode & 0o777 == 0o600
    with connect(city, role="owner") as conn:
        assert list(remembered(city, conn)) == [ROWS]
        assert earlier(city, conn) == 0
    line = audit_head.head_file(city).read_text().replace(city.db_name + "/", city.db_name + "/0")
    audit_head.head_file(city).write_text(line)  # as if noted of a database of this name that was rebuilt since
    with connect(city, role="owner") as conn:
        assert remembered(city, conn) == {}
        assert earlier(city, conn) == ROWS


def test_a_later_note_of_the_same_row_does_not_replace_the_first(city: Settings) -> None:
    with connect(city, role="owner") as conn:
        remember(city, conn)
    tamper(city, REWRITE)
    with connect(city, role="owner") as conn:
        remember(city, conn)  # whoever rewrote the chain also notes its new head
    assert verdict(city).bad_seq == 12


def test_a_note_that_was_scribbled_over_is_said(city: Settings) -> None:
    audit_head.head_file(city).write_text("{}\n")
    with pytest.raises(SetupProblem, match="第 1 行"):
        verdict(city)


_CHANGES = ["UPDATE access.audit SET action = 'x'", "DELETE FROM access.audit", "TRUNCATE access.audit"]
_HEAD = (
    "UPDATE access.audit_head SET seq = 0"  # the owner may: the trigger writes it as owner; the note outside guards it
)


@pytest.mark.parametrize(
    ("role", "statement"),
    [(r, c) for r in ("app", "reader", "job", "owner") for c in _CHANGES]
    + [(r, _HEAD) for r in ("app", "reader", "job")],
)
def test_no_role_of_the_program_changes_history(city: Settings, role: str, statement: str) -> None:
    with connect(city, role=role) as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):  # type: ignore[arg-type]
        conn.execute(statement.encode())


@pytest.mark.parametrize("column", ["seq", "at", "account_id", "role", "previous", "hash"])
def test_a_writer_cannot_say_who_when_or_which_number(city: Settings, column: str) -> None:
    with connect(city, role="app") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(f"INSERT INTO access.audit (action, {column}) VALUES ('x', NULL)".encode())  # noqa: S608


def test_who_is_the_transactions_principal_whatever_the_writer_claims(city: Settings) -> None:
    with connect(city, role="owner") as conn:
        clerk = conn.execute("SELECT account_id FROM access.account WHERE login = 'target'").fetchone()
    assert clerk is not None
    with a.acting(city, clerk[0]) as conn:
        conn.execute("INSERT INTO access.audit (action, login) VALUES ('claim', 'somebody.else')")
    with connect(city, role="app") as conn:
        conn.execute("INSERT INTO access.audit (action, login) VALUES ('stranger', 'target')")
    with connect(city, role="job") as conn:
        conn.execute("INSERT INTO access.audit (action, login) VALUES ('job', 'target')")
    with connect(city, role="owner") as conn:
        rows = conn.execute(
            "SELECT action, login, account_id, role FROM access.audit ORDER BY seq DESC LIMIT 3"
        ).fetchall()
    assert rows[::-1] == [
        ("claim", "target", clerk[0], "planner"), ("stranger", "target", None, None), ("job", "onemap_job", None, None)
    ]  # fmt: skip


def test_a_deed_that_is_rolled_back_leaves_no_row_and_no_gap(city: Settings) -> None:
    with connect(city, role="app") as conn:
        audit.record(conn, action="never")
        conn.rollback()
    with connect(city, role="app") as conn:
        audit.record(conn, action="done")
    found = verdict(city)
    assert (found.rows, found.bad_seq) == (ROWS + 1, None)


def test_numbers_follow_the_order_of_writing_whatever_the_clock_does(city: Settings) -> None:
    """Rows whose times run backwards still verify: the order is the number's."""
    tamper(
        city, "UPDATE access.audit SET at = at - interval '1 hour' WHERE seq = 12", REWRITE.replace("'别的'", "reason")
    )
    assert verdict(city).bad_seq is None


def test_the_address_comes_from_the_principal_in_context(city: Settings) -> None:
    token = current.set(a.principal(1, "planner"))
    try:
        with connect(city, role="app") as conn:
            audit.record(conn, action="look")
    finally:
        current.reset(token)
    with connect(city, role="owner") as conn:
        assert conn.execute("SELECT host(address) FROM access.audit ORDER BY seq DESC LIMIT 1").fetchone() == (
            "10.0.0.9",
        )


def test_searching_is_filtered_paged_and_a_row_itself(city: Settings) -> None:
    with connect(city, role="owner") as conn:
        writes = audit.search(conn, action="write", limit=4)
        assert [r.seq for r in writes] == [12, 10, 8, 6]
        assert [r.seq for r in audit.search(conn, action="write", limit=4, before=6)] == [4, 2]
        assert [r.object_id for r in audit.search(conn, object_kind="parcel", object_id="8")] == ["8"]
        assert audit.search(conn, login="nobody") == []
        assert [r.action for r in audit.search(conn, action="audit")] == ["audit.read"] * 4
        assert audit.search(conn, action="writ") == []
        assert writes[0].detail == {"n": 12, "name": "甲|乙"}


def test_two_writers_at_once_make_no_fork(city: Settings) -> None:
    import threading

    def write() -> None:
        for _ in range(20):
            with connect(city, role="app") as conn:
                audit.record(conn, action="together")

    threads: list[threading.Thread] = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verdict(city)
    assert (found.rows, found.bad_seq) == (ROWS + 80, None)


def test_the_digest_is_of_the_state_not_of_its_order() -> None:
    check: Callable[[dict[str, object]], str | None] = audit.digest
    assert check({"a": 1, "b": 2}) == check({"b": 2, "a": 1}) != check({"a": 1, "b": 3})
    assert audit.digest(None) is None


def test_no_test_notes_a_scratch_store_in_the_installations_file(city: Settings) -> None:
    assert Settings().audit_head_file is not None
    assert Settings().audit_head_file != Settings().var / "audit-head.json"
    assert city.audit_head_file == Settings().audit_head_file
