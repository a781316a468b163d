"""Import of 250,000 cases: rows a second first time, again, and taken back; and how often the item suggestion is right."""

from __future__ import annotations

import csv
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from etl.cases.importing import import_cases
from etl.importing import Options, store_transaction
from etl.report import Report
from etl.undoing import undo_load
from gis.access.crypt import make_keys
from gis.access.roles import Roles, publish
from gis.cases.publishing import publish_cases
from gis.cases.suggest import SuggestionRules
from gis.clock import ZONE
from gis.errors import BadInput
from gis.settings import Settings
from gis.store.engine import connect
from gis.store.migrate import create_database, drop_database, migrate
from tests.bench.report import Figure
from tests.scratch_county import build_scratch

ROWS = 250_000
_HEAD = [
    "工单编号",
    "工单标题",
    "诉求内容",
    "事项",
    "工单状态",
    "来电时间",
    "受理时间",
    "办结时限",
    "办结时间",
    "经度",
    "纬度",
    "来电人",
    "来电号码",
    "满意度",
]
_WHAT = {
    "路灯": "路灯不亮", "垃圾清运": "垃圾没人清运", "供水": "水管漏水", "邻里纠纷": "邻居排水起纠纷", "井盖缺失": "井盖坏了危险",
    "道路破损": "路面坑洼积水", "秸秆焚烧": "反映焚烧秸秆", "低保": "咨询低保办理",
}  # fmt: skip
_BAD_EVERY = 500  # one row in so many is turned away


def figures(settings: Settings, *, rows: int = ROWS) -> list[Figure]:
    """Import a made-up history into a store of its own: the scratch county, all indexes and row security in place."""
    with _store(settings) as own, tempfile.TemporaryDirectory(prefix="onemap-bench-") as folder:
        file = Path(folder) / "history.csv"
        write_history(file, rows)
        report, wall, cpu = _timed(own, file)
        made = [
            Figure("import of cases, first time", report.rows_in / wall, "rows/s", target=20_000, better="higher",
                   note=f"{report.rows_in:,} rows, {report.rows_quarantined:,} quarantined, half with a sealed reporter; {wall:.1f} s, "
                        f"this process {cpu:.1f} s of processor; load {os.getloadavg()[0]:.1f}")
        ]  # fmt: skip
        write_history(file, rows, later=True)
        again, wall, cpu = _timed(own, file)
        made.append(
            Figure("import of cases, again with a tenth changed", again.rows_in / wall, "rows/s", better="higher",
                   note=f"{next(n for n in again.notes if n.startswith('新增'))}; {wall:.1f} s")
        )  # fmt: skip
        began = time.perf_counter()
        with store_transaction(own) as conn:
            undo_load(conn, report.load_id or 0)
        made.append(Figure("a whole import taken back", time.perf_counter() - began, "s"))
    return made


def suggestion_figures(settings: Settings) -> list[Figure]:
    """Train on this store's history and hold it against what it was not taught."""
    from gis.cases.suggest_training import keyword_examples, read_examples, train

    rules = SuggestionRules.load(settings.data)
    began = time.perf_counter()
    try:
        with connect(settings, role="job") as conn:
            model = train(read_examples(conn, rules=rules), rules=rules, taught=keyword_examples())
    except BadInput as e:
        return [Figure("item suggestion", None, "share", note=e.message)]
    took = time.perf_counter() - began
    made = []
    for name, figure in (("held-out months", model.card["by_time"]), ("unseen wording", model.card["unseen_wording"])):
        for top in ("top1", "top3"):
            value = None if figure is None else float(figure[top])
            note = (
                "无数据"
                if figure is None
                else f"{figure['n']:,} {'cases' if name == 'held-out months' else 'wordings'}, 合成 history"
            )
            made.append(Figure(f"item suggestion {top}, {name}", value, "share", better="higher", note=note))
    texts = ["村口路灯不亮了三天没人修", "垃圾堆在路边好几天了", "邻居把水排到我家院里"] * 100
    began = time.perf_counter()
    for text in texts:
        model.shares(text)
    made.append(Figure("item suggestion, one answer", 1000 * (time.perf_counter() - began) / len(texts), "ms"))
    made.append(
        Figure(
            "item suggestion, training", took, "s", note=f"{model.card['rows']:,} cases; load {os.getloadavg()[0]:.1f}"
        )
    )
    return made


def write_history(path: Path, rows: int, *, later: bool = False) -> None:
    """A hotline's export of two years; `later`: the same with every tenth rated since."""
    rng = random.Random(7)
    start, what = datetime(2024, 11, 1, tzinfo=ZONE), list(_WHAT.items())
    with path.open("w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(_HEAD)
        for k in range(rows):
            at = start + timedelta(seconds=k * 63_000_000 // rows + rng.randrange(60))
            item, words = what[rng.randrange(len(what))]
            times = [
                at,
                at + timedelta(minutes=rng.randrange(5, 90)),
                at + timedelta(days=2),
                at + timedelta(minutes=rng.randrange(100, 9000)),
            ]
            told = [t.strftime("%Y-%m-%d %H:%M:%S") for t in times]
            who = [f"{rng.choice('赵钱孙李周')}小{rng.choice('明红军')}", f"138{rng.randrange(10**8):08d}"]
            writer.writerow([
                f"GD{k:09d}", f"{rng.choice('赵钱孙李周吴郑王')}庄村{words}{rng.randrange(99)}", f"来电人反映{words}，希望尽快处理。",
                item if k % _BAD_EVERY else "没有的事项", "已办结", *told, f"{114.99 + rng.random() * 0.09:.6f}", f"{37.19 + rng.random() * 0.06:.6f}",
                *(who if k % 2 else ("", "")), 5 if later and k % 10 == 0 else 4,
            ])  # fmt: skip


def _timed(settings: Settings, file: Path) -> tuple[Report, float, float]:
    began, cpu = time.perf_counter(), time.process_time()
    report = import_cases(settings, file=str(file), mapping="incidents_12345", options=Options(crs="EPSG:4326"))
    return report, time.perf_counter() - began, time.process_time() - cpu


@contextmanager
def _store(settings: Settings) -> Iterator[Settings]:
    """A database of its own beside the county's, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="onemap-bench-") as folder:
        own = settings.model_copy(
            update={"db_name": f"bench_import_{os.getpid()}", "personal_key_file": Path(folder) / "personal.key"}
        )
        create_database(own)
        try:
            migrate(own)
            make_keys(own)
            build_scratch(own, townships=4, villages=5, grids=4, strips=2)
            with connect(own, role="owner") as conn:
                publish(conn, Roles.load(own.data))
                publish_cases(conn, own.data)
            yield own
        finally:
            drop_database(own, name=own.db_name)
