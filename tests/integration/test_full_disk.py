"""A disk that runs full: refused in words while the database still has room for its log, and the store is as before."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from cli.__main__ import in_words
from etl.importing import Options, import_file
from gis.errors import SetupProblem, StoreUnavailable
from gis.settings import Settings
from gis.store import space
from tests.import_files import build_county, counts, dkbm, parcel, write


def layer(folder: Path, rows: int = 40) -> Path:
    return write(folder / "a.gpkg", [parcel(i) for i in range(rows)], {"DKBM": [dkbm(i) for i in range(rows)]})


@pytest.mark.parametrize("asked_before_full", [0, 1, 2])
def test_an_import_stops_before_the_database_must(
    store: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked_before_full: int
) -> None:
    """At the start, while reading, and before the one statement that writes everything."""
    build_county(store)
    before = counts(store)
    left = iter([10_000] * asked_before_full + [150] * 9)
    monkeypatch.setattr(space, "free_mb", lambda _settings: next(left))
    with pytest.raises(SetupProblem, match=r"磁盘只剩 150 MB，.*要留 2\d\d MB。没有存任何东西") as caught:
        import_file(
            store, subject="parcels", file=str(layer(tmp_path)), mapping="ny_t_2539", options=Options(crs="EPSG:4490")
        )
    assert "清理磁盘" in caught.value.next_step
    assert counts(store) == before


def test_with_room_it_goes_in(store: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_county(store)
    monkeypatch.setattr(space, "free_mb", lambda _settings: 5_000)
    report = import_file(
        store, subject="parcels", file=str(layer(tmp_path)), mapping="ny_t_2539", options=Options(crs="EPSG:4490")
    )
    assert report.rows_loaded == 40


@pytest.mark.parametrize("error", [psycopg.OperationalError("server closed"), StoreUnavailable("数据库连不上")])
def test_a_broken_connection_on_a_full_disk_is_put_down_to_the_disk(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "free_mb", lambda _settings: 3)
    told = in_words(error)
    assert told is not None
    assert "磁盘满了" in told.message
    monkeypatch.setattr(space, "free_mb", lambda _settings: 90_000)
    told = in_words(error)
    assert told is not None
    assert "磁盘" not in told.message


def test_an_outside_servers_disk_is_its_own_affair(tmp_path: Path) -> None:
    settings = Settings(database_url="postgresql://dba@192.0.2.1/postgres", var=tmp_path)
    assert space.free_mb(settings) is None
    space.require_free(settings, mb=10**9, what="导入")
    assert not space.is_scarce(settings)
