"""Changing the key of the personal data: everything is sealed anew, an interrupted run goes on, a lost key is never re-made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from psycopg import Connection
from typer.testing import CliRunner

from cli import access as access_cli
from cli.up import prepare_access
from gis.access import resealing
from gis.access.crypt import Keys, key_file, load_keys, retire, rotate
from gis.access.resealing import keys_of_store, older, read_sealed, reseal, unlisted
from gis.errors import SetupProblem
from gis.settings import Settings
from gis.store.engine import connect
from tests import access_store as a
from tests.integration.test_access_reveal import HOME, PEOPLE, add_people

COLUMNS = read_sealed(Settings().data)


@pytest.fixture
def city(store: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Two people, a contractor and a second factor, sealed; the key in a folder of its own, for the command line too."""
    key = tmp_path / "keys" / "personal.key"
    city = a.prepare(store).model_copy(update={"personal_key_file": key})
    monkeypatch.setenv("ONEMAP_PERSONAL_KEY_FILE", str(key))
    monkeypatch.setenv("ONEMAP_DB_NAME", city.db_name)
    account = a.add_account(city, "wang.min", scope=HOME, password=None)
    with connect(city, role="owner") as conn:
        keys = keys_of_store(city, conn)
        conn.execute("SELECT set_config('onemap.principal', %s, true)", [str(account)])
        add_people(conn, keys)
        secret = keys.encrypt("JBSWY3DP", table="access.account", row=account, field="totp_secret")
        conn.execute("UPDATE access.account SET totp_secret = %s WHERE account_id = %s", [secret, account])
        load = conn.execute(
            "INSERT INTO intake.load (subject, source_name, mapping, rows_quarantined, rows_in) VALUES ('parcels', 'a.gpkg', 'ny_t_2539', 2, 2) "
            "RETURNING load_id"
        ).fetchone()
        assert load is not None
        conn.execute(  # as an older program left it: in clear
            "INSERT INTO intake.quarantine (load_id, row_number, reason_code, reason, properties) VALUES "
            '(%s, 1, \'self_crossing\', \'x\', \'{"CBFMC": "张小明", "DKBM": "1", "备注": "李四家的"}\'), (%s, 2, \'overlap\', \'x\', \'{"DKBM": "2"}\')',
            [load[0], load[0]],
        )
    return city


def everything(city: Settings, keys: Keys) -> list[str]:
    """All personal values, opened."""
    found = []
    with connect(city, role="owner") as conn:
        for column in COLUMNS:
            rows = conn.execute(
                f"SELECT ({column.row})::text, ({column.field})::text, {column.column} FROM {column.place} "  # noqa: S608
                f"WHERE {column.column} IS NOT NULL".encode()
            ).fetchall()
            found += [keys.decrypt(c, table=column.place, row=row, field=field) for row, field, c in rows]
    return sorted(found)


def left(city: Settings) -> int:
    with connect(city, role="owner") as conn:
        return sum(older(conn, keys=load_keys(city), columns=COLUMNS).values())


def test_every_encrypted_column_is_listed(city: Settings) -> None:
    with connect(city, role="owner") as conn:
        assert unlisted(conn, COLUMNS) == []
        conn.execute("CREATE TABLE personal.newcomer (id bigint, name_enc bytea)")
        assert unlisted(conn, COLUMNS) == ["personal.newcomer.name_enc"]
        conn.rollback()


def test_all_is_sealed_anew_under_the_new_key(city: Settings) -> None:
    before = everything(city, load_keys(city))
    assert {v for row in PEOPLE.values() for v in row[:3] if v} | {"王大", "JBSWY3DP"} == set(before)
    rotate(city)
    assert left(city) == len(before)
    done = reseal(lambda: connect(city, role="owner"), keys=load_keys(city), columns=COLUMNS)
    assert (sum(done.counts.values()), done.left, left(city)) == (len(before), 0, 0)
    assert retire(city) == 1
    assert everything(city, load_keys(city)) == before


def test_a_run_that_is_killed_goes_on_where_it_stopped(city: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "_BATCH", 1)
    before, total = everything(city, load_keys(city)), 0
    rotate(city)
    whole = resealing._batch

    def killed(conn: Connection[Any], column: resealing.Sealed, keys: Keys) -> int:
        nonlocal total
        if total == 3:
            raise KeyboardInterrupt
        total += (done := whole(conn, column, keys))
        return done

    monkeypatch.setattr(resealing, "_batch", killed)
    with pytest.raises(KeyboardInterrupt):
        reseal(lambda: connect(city, role="owner"), keys=load_keys(city), columns=COLUMNS)
    monkeypatch.setattr(resealing, "_batch", whole)
    assert left(city) == len(before) - 3
    assert everything(city, load_keys(city)) == before, "old and new side by side"
    done = reseal(lambda: connect(city, role="owner"), keys=load_keys(city), columns=COLUMNS)
    assert (sum(done.counts.values()), done.left) == (len(before) - 3, 0)
    assert everything(city, load_keys(city)) == before


def test_a_value_that_was_tampered_with_stops_the_run_and_is_not_lost(city: Settings) -> None:
    rotate(city)
    with connect(city, role="owner") as conn:
        conn.execute(
            "UPDATE personal.person SET phone_enc = set_byte(phone_enc, 30, get_byte(phone_enc, 30) # 1) WHERE person_id = 1"
        )
    with pytest.raises(SetupProblem, match="被改动过"):
        reseal(lambda: connect(city, role="owner"), keys=load_keys(city), columns=COLUMNS)
    assert left(city) > 0


def test_a_lost_key_is_not_made_anew(city: Settings) -> None:
    path = key_file(city)
    kept = path.read_bytes()
    path.unlink()
    for role in ("owner", "job"):
        with connect(city, role=role) as conn, pytest.raises(SetupProblem, match="密钥文件不见了") as said:  # type: ignore[arg-type]
            keys_of_store(city, conn)
        assert str(path) in said.value.next_step
    with pytest.raises(SetupProblem, match="密钥文件不见了"):
        prepare_access(city, progress=lambda _: None)  # type: ignore[arg-type]
    assert not path.exists()
    path.write_bytes(kept)
    path.chmod(0o600)
    assert everything(city, load_keys(city))


def test_another_installations_key_is_noticed_at_the_start(city: Settings, tmp_path: Path) -> None:
    other = a.keys_in(city.model_copy(update={"personal_key_file": None}), tmp_path / "other")
    assert other.current_id
    key_file(city).unlink()
    (tmp_path / "other" / "keys" / "personal.key").rename(key_file(city))
    with connect(city, role="owner") as conn, pytest.raises(SetupProblem, match="打不开库里已有的"):
        keys_of_store(city, conn)


def test_where_nothing_is_sealed_a_key_is_made(store: Settings, tmp_path: Path) -> None:
    fresh = a.prepare(store).model_copy(update={"personal_key_file": tmp_path / "k"})
    with connect(fresh, role="owner") as conn:
        keys_of_store(fresh, conn)
    assert (tmp_path / "k").exists()


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(access_cli.app, ["key", *words])
    said = done.output + (
        f"{done.exception.message} {done.exception.next_step}" if isinstance(done.exception, SetupProblem) else ""
    )
    return done.exit_code, said


def test_the_command_line_rotates_reseals_retires_and_all_is_on_record(city: Settings) -> None:
    before = everything(city, load_keys(city))
    assert "没有旧密钥" in run("status")[1]
    assert run("rotate", "--reason", "每年更换")[0] == 0
    assert "旧密钥加密的：personal.person.name_enc 2 个" in run("status")[1]
    code, said = run("retire")
    assert (code != 0, "没有丢弃" in said) == (True, True)
    code, said = run("reseal")
    assert (code, f"已重新加密 {len(before)} 个值" in said, "隔离区补加密 1 行" in said) == (0, True, True)
    assert run("retire")[0] == 0
    after = everything(city, load_keys(city))
    assert set(after) - set(before) == {'{"CBFMC": "张小明", "备注": "李四家的"}'}
    with connect(city, role="owner") as conn:
        clear = conn.execute("SELECT properties FROM intake.quarantine ORDER BY row_number").fetchall()
        noted = [
            r[0]
            for r in conn.execute(
                "SELECT action FROM access.audit WHERE action ~ '^(key|quarantine)' ORDER BY seq"
            ).fetchall()
        ]
    assert clear == [({"CBFMC": "张*明", "DKBM": "1", "备注": "（已加密）"},), ({"DKBM": "2"},)]
    assert noted[:3] == ["key.rotated", "quarantine.sealed", "key.reseal_begun"]
    assert noted[-1] == "key.retired"
    assert noted.count("key.resealed") >= 4
