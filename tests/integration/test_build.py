"""The demo county built small: it adds up, says it is generated, is the same every time, and survives being killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date

import pytest
from typer.testing import CliRunner

from cli.county import app
from etl.demo import build as build_room
from etl.demo.build import BuildReport, build_county, built
from etl.demo.profile import CountyProfile, load_profile
from etl.lineage import Source, close_load, open_load
from gis.access.crypt import load_keys
from gis.access.masking import mask_name
from gis.errors import BadRequest, NotFound, SetupProblem
from gis.settings import ROOT, Settings
from gis.store.engine import connect

pytestmark = pytest.mark.db

SHARE = 0.012


def small(*, incidents: int = 500) -> CountyProfile:
    """巨鹿县 at about one hundredth: some villages, a couple of thousand parcels, `incidents` incidents."""
    profile = load_profile("julu").shrunk(SHARE)
    sizes = {k: v.model_copy(update={"incidents": round(incidents / SHARE)}) for k, v in profile.sizes.items()}
    return profile.model_copy(update={"sizes": sizes})


@pytest.fixture(scope="module")
def county(module_store: Settings) -> tuple[Settings, BuildReport]:
    return module_store, build_county(module_store, profile=small())


def rows(settings: Settings, query: str) -> list[tuple[object, ...]]:
    with connect(settings, role="owner") as conn:
        return conn.execute(query.encode()).fetchall()


def one(settings: Settings, query: str) -> object:
    return rows(settings, query)[0][0]


def fingerprint(settings: Settings) -> list[tuple[object, ...]]:
    """A hash of every column of every generated table, in the order of its key."""
    keys = {
        "onemap.division": "code", "onemap.parcel": "parcel_id", "onemap.household": "household_id",
        "onemap.case_file": "case_id", "onemap.facility": "facility_id", "onemap.resource": "resource_id",
        "onemap.road_node": "node_id", "personal.person": "person_id", "personal.contractor": "contractor_code",
        "onemap.farmland_zone": "zone_code", "onemap.case_number": "day", "onemap.parcel_summary": "grid_code, land_class",
    }  # fmt: skip
    # load_id and division_id count up over builds; all else must repeat
    query = (
        # what is sealed differs each time: every value has a nonce of its own; its keyed hash and masked form repeat
        "SELECT md5(string_agg((to_jsonb(t) - 'load_id' - 'division_id' - 'zone_id' "
        "- ARRAY['name_enc', 'id_number_enc', 'phone_enc', 'witness_enc'])::text, '' ORDER BY {key})) "
        "FROM {table} t"
    )
    return [(table, one(settings, query.format(table=table, key=key))) for table, key in keys.items()]


def test_it_says_what_it_built(county: tuple[Settings, BuildReport]) -> None:
    settings, report = county
    assert report.built
    standing = built(settings)
    assert standing is not None
    assert (standing.code, standing.name, standing.scale) == ("130529", "巨鹿县", "demo")
    assert {p.name for p in report.phases} >= {"onemap.parcel", "onemap.case_file", "onemap.household", "onemap.road"}


def test_counts_are_those_asked_for(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    size = small().size("demo")
    assert one(settings, "SELECT count(*) FROM onemap.incident") == size.incidents == 500
    assert one(settings, "SELECT count(*) FROM onemap.division WHERE level = 4") == size.grids
    assert (
        one(settings, "SELECT count(*) FROM onemap.household WHERE category IS NOT NULL") == size.monitored_households
    )
    households = one(settings, "SELECT count(*) FROM onemap.household")
    assert households == one(settings, "SELECT households FROM onemap.division WHERE level = 1")
    parcels = one(settings, "SELECT count(*) FROM onemap.parcel")
    assert isinstance(parcels, int)
    assert 0.5 * size.parcels < parcels < 1.5 * size.parcels


def test_every_kind_that_dispatch_needs_is_there(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    able = {r[0] for r in rows(settings, "SELECT DISTINCT unnest(capability) FROM onemap.resource")}
    assert able >= {
        "AGRI_PEST",
        "AGRI_SOIL",
        "UAV_SPRAY",
        "ENF_LAND",
        "ENF_ENV",
        "FIRE",
        "MED",
        "FLOOD_PUMP",
        "LEGAL_MEDIATE",
    }
    assert one(settings, "SELECT count(*) FROM onemap.resource WHERE home_facility_id IS NULL") == 0


def test_villages_add_up_to_townships_and_the_county(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    for column in ("households", "population"):
        sums = rows(settings, f"SELECT sum({column}) FROM onemap.division GROUP BY level")  # noqa: S608
        assert len({s for (s,) in sums}) == 1
    assert (
        one(
            settings,
            "SELECT count(*) FROM onemap.division d WHERE level = 3 AND households IS DISTINCT FROM "
            "(SELECT count(*) FROM onemap.household h WHERE h.village_code = d.code)",
        )
        == 0
    )


def test_everything_lies_in_the_grid_it_says(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    for table, point in (
        ("parcel", "ST_PointOnSurface(geom)"), ("household", "geom"), ("facility", "geom"), ("resource", "geom"),
        ("case_file", "geom"),
    ):  # fmt: skip
        wrong = one(
            settings,
            f"SELECT count(*) FROM onemap.{table} WHERE geom IS NOT NULL "  # noqa: S608
            f"AND grid_code IS DISTINCT FROM onemap.grid_at({point})",
        )
        assert wrong == 0, table
        lost = one(settings, f"SELECT count(*) FROM onemap.{table} WHERE geom IS NOT NULL AND township_code IS NULL")  # noqa: S608
        assert lost == 0, table


def test_only_incidents_without_a_position_are_unplaced(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    assert one(settings, "SELECT count(*) FROM onemap.incident WHERE (grid_code IS NULL) <> (geom IS NULL)") == 0


def test_cases_go_on_where_the_build_ends(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    last, count = rows(settings, "SELECT max(case_id), count(*) FROM onemap.case_file")[0]
    assert one(settings, "SELECT nextval('onemap.case_file_case_id_seq')") == int(str(last)) + 1 == int(str(count)) + 1
    unlike = one(
        settings,
        "SELECT count(*) FROM (SELECT 'SJ', (reported_at AT TIME ZONE 'Asia/Shanghai')::date, count(*)::int FROM onemap.case_file "
        "GROUP BY 2 EXCEPT SELECT prefix, day, last FROM onemap.case_number) d",
    )
    assert unlike == 0
    newest, number = rows(settings, "SELECT day, last FROM onemap.case_number ORDER BY day DESC LIMIT 1")[0]
    with connect(settings, role="owner") as conn:
        given = conn.execute("SELECT onemap.next_case_no('SJ', %s)", [newest]).fetchone()
        conn.rollback()
    assert given == (f"SJ{newest:%Y%m%d}{int(str(number)) + 1:05d}",)


def test_what_a_case_says_agrees(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    wrong = rows(
        settings,
        """SELECT state, count(*) FROM onemap.case_file WHERE process <> 'incident' OR process_version <> 1
           OR (ended_at IS NOT NULL) <> (state IN ('closed', 'returned')) OR (state = 'closed') <> (closed_at IS NOT NULL)
           OR (state IN ('closed', 'feedback')) <> (done_at IS NOT NULL) OR closed_at IS DISTINCT FROM ended_at AND state = 'closed'
           OR (clock_state = 'stopped') <> (state IN ('closed', 'returned', 'feedback')) OR level IS NULL OR deadline_class IS NULL
           OR level <> handled_level OR warn_at NOT BETWEEN accepted_at AND due_at OR (due_at IS NULL) <> (state = 'reported')
           OR (warn_at IS NULL) <> (due_at IS NULL) GROUP BY 1""",
    )
    assert wrong == []
    assert one(settings, "SELECT count(DISTINCT state) FROM onemap.case_file") >= 3


def test_the_summary_is_the_sum_of_the_parcels(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    summed = rows(settings, "SELECT sum(parcels), round(sum(area_m2)), sum(pbf_parcels) FROM onemap.parcel_summary")
    counted = rows(settings, "SELECT count(*), round(sum(area_m2)), count(*) FILTER (WHERE in_pbf) FROM onemap.parcel")
    assert summed == counted


def test_protected_land_is_where_the_zones_are(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    wrong = one(
        settings,
        "SELECT count(*) FROM onemap.parcel p WHERE in_pbf <> EXISTS (SELECT FROM onemap.farmland_zone z "
        "WHERE z.kind = 'pbf' AND ST_Covers(z.geom, ST_PointOnSurface(p.geom)))",
    )
    assert wrong == 0
    share = one(settings, "SELECT avg((declared_pbf <> in_pbf)::int) FROM onemap.parcel")
    assert 0.005 < float(str(share)) < 0.04


def test_every_generated_row_says_so(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    assert rows(settings, "SELECT DISTINCT synthetic, source_name, finished_at IS NULL FROM intake.load") == [
        (True, "合成", False)
    ]
    for table in (
        "division",
        "parcel",
        "household",
        "case_file",
        "facility",
        "resource",
        "road",
        "ground",
        "building",
        "farmland_zone",
    ):
        untraced = one(
            settings,
            f"SELECT count(*) FROM onemap.{table} t LEFT JOIN intake.load l USING (load_id) "  # noqa: S608
            "WHERE l.synthetic IS NOT TRUE",
        )
        assert untraced == 0, table
    loaded = one(settings, "SELECT sum(rows_loaded) FROM intake.load WHERE subject = 'parcels'")
    assert loaded == one(settings, "SELECT count(*) FROM onemap.parcel")
    assert (
        one(settings, "SELECT count(*) FROM onemap.division WHERE boundary_status <> 'schematic'") == 0
    )  # shrunk: cut


def test_contractors_match_the_parcels_and_names_stay_masked(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    keys = load_keys(settings)
    pairs = rows(
        settings,
        "SELECT contractor_code, contractor_masked, name_enc FROM onemap.parcel "
        "LEFT JOIN personal.contractor USING (contractor_code) WHERE contractor_code IS NOT NULL",
    )
    assert len(pairs) > 1000
    for code, masked, sealed in pairs:
        assert mask_name(keys.decrypt(bytes(sealed), table="personal.contractor", row=code, field="name")) == masked
    assert one(settings, "SELECT count(*) FROM onemap.parcel WHERE contractor_masked !~ '[*]|村集体'") == 0
    assert one(settings, "SELECT count(*) FROM onemap.parcel WHERE contractor_code !~ '^[0-9]{18}$'") == 0
    assert one(settings, "SELECT count(*) FROM personal.contractor WHERE contractor_code NOT IN "
                         "(SELECT contractor_code FROM onemap.parcel WHERE contractor_code IS NOT NULL)") == 0  # fmt: skip


def test_a_neighbour_in_the_east_has_us_in_its_west(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    pairs = one(
        settings,
        "SELECT count(*) FROM onemap.parcel a JOIN onemap.parcel b ON a.geom && b.geom AND a.parcel_id <> b.parcel_id "
        "AND a.east = b.contractor_masked AND b.west = a.contractor_masked",
    )
    assert isinstance(pairs, int)
    assert pairs > 100


def test_a_standing_county_is_left_alone(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    before = rows(settings, "SELECT built_at FROM onemap.county")
    assert not build_county(settings, profile=small()).built
    assert rows(settings, "SELECT built_at FROM onemap.county") == before


def test_info_prints_what_the_store_holds(
    county: tuple[Settings, BuildReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _ = county
    monkeypatch.setenv("ONEMAP_DB_NAME", settings.db_name)
    done = CliRunner().invoke(app, ["info", "--json"])
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["county"]["name"] == "巨鹿县"
    assert told["county"]["built_at"]
    tables = {t["table"]: t for t in told["tables"]}
    assert tables["onemap.case_file"]["rows"] == tables["onemap.case_file"]["synthetic"] == 500
    assert tables["onemap.case_file"]["unplaced"] == one(
        settings, "SELECT count(*) FROM onemap.incident WHERE geom IS NULL"
    )
    assert tables["personal.person"]["placed"] is None
    plain = CliRunner().invoke(app, ["info"])
    assert "巨鹿县" in plain.stdout
    assert "合成" in plain.stdout


def test_info_of_an_empty_store_says_so(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEMAP_DB_NAME", store.db_name)
    done = CliRunner().invoke(app, ["info"])
    assert isinstance(done.exception, NotFound)
    assert "还没有建好的县" in done.exception.message
    assert done.exception.next_step


@pytest.mark.parametrize("name", ["anji", "shouguang"])
def test_another_county_is_another_profile(name: str, store: Settings) -> None:
    profile = load_profile(name).shrunk(SHARE)
    report = build_county(store, profile=profile)
    assert report.built
    assert one(store, "SELECT code FROM onemap.county") == profile.code
    assert one(store, "SELECT count(*) FROM onemap.incident") == profile.size("demo").incidents
    assert one(store, "SELECT count(*) FROM onemap.parcel WHERE township_code IS NULL") == 0
    assert (
        one(
            store,
            "SELECT count(*) FROM personal.person WHERE left(id_number_masked, 6) <> left((SELECT code FROM onemap.county), 6)",
        )
        == 0
    )


def test_another_scale_is_refused(county: tuple[Settings, BuildReport]) -> None:
    settings, _ = county
    with pytest.raises(BadRequest, match="库里已有巨鹿县"):
        build_county(settings, profile=small(), scale="full")


def test_the_same_profile_builds_the_same_county(county: tuple[Settings, BuildReport], store: Settings) -> None:
    settings, _ = county
    build_county(store, profile=small())
    assert fingerprint(store) == fingerprint(settings)


def test_imported_data_is_not_thrown_away(store: Settings) -> None:
    with connect(store, role="owner") as conn:
        load_id = open_load(conn, Source("parcels", "真实地块.shp"))
        close_load(conn, load_id, rows_loaded=3)
    with pytest.raises(BadRequest, match="1 批导入的真实数据"):
        build_county(store, profile=small())


def test_two_builds_at_once_are_refused(store: Settings) -> None:
    with connect(store, role="owner", autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", [build_room._LOCK])
        with pytest.raises(SetupProblem, match="另一个建县任务"):
            build_county(store, profile=small())


@pytest.fixture
def child(store: Settings) -> Iterator[subprocess.Popen[str]]:
    """A build in a process of its own, which stops after the parcels and waits to be killed."""
    script = (
        "import time\n"
        "from etl.demo import build\n"
        "from gis.settings import Settings\n"
        "from tests.integration.test_build import small\n"
        "def wait(text):\n"
        "    print(text, flush=True)\n"
        "    if '地块' in text and '入库' in text: time.sleep(600)\n"
        "build.build_county(Settings(), profile=small(), progress=wait)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=os.environ | {"ONEMAP_DB_NAME": store.db_name},
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_a_killed_build_starts_over(
    store: Settings, child: subprocess.Popen[str], county: tuple[Settings, BuildReport]
) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        if "入库地块" in line:
            break
    child.send_signal(signal.SIGKILL)
    child.wait()
    deadline = time.monotonic() + 20
    # the server notices that nobody is there any more and lets go of the lock
    while rows(store, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted "
                      "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"):  # fmt: skip
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert one(store, "SELECT count(*) FROM onemap.parcel") != 0
    assert built(store) is None
    assert build_county(store, profile=small()).built
    assert fingerprint(store) == fingerprint(county[0])
    assert one(store, "SELECT count(*) FROM intake.dropped_index") == 0


def test_a_build_that_fails_half_way_is_not_built(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object, **__: object) -> object:
        import psycopg

        raise psycopg.errors.DiskFull("could not extend file: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(build_room, "load_table", full_disk)
        with pytest.raises(SetupProblem, match=r"建县中断.*No space left"):
            build_county(store, profile=small())
    assert built(store) is None
    assert build_county(store, profile=small(), as_of=date(2026, 6, 1)).built
    last = one(store, "SELECT max(reported_at)::date FROM onemap.incident")
    assert isinstance(last, date)
    assert date(2026, 5, 25) < last < date(2026, 6, 1)
