"""The desk's presenters without a browser: words of a deadline, rows, forms of every kind of field, reports, addresses."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, get_args

import pytest
from dash._utils import to_json

from dashboard.callbacks.desk_asked import parse
from dashboard.callbacks.desk_report import period
from dashboard.components.desk import (
    board,
    bulk,
    card,
    compare,
    filters,
    form,
    history,
    intake,
    leaving,
    offices,
    queue,
    standing,
    units,
)
from dashboard.http.unit_report import COLUMNS, written
from dashboard.pages import PAGES, every_id, page_at
from dashboard.text import Catalogue, catalogue
from gis.cases.catalogue import Processes
from gis.cases.definition import FieldKind, FormField
from gis.cases.model import Queue
from gis.cases.reading import Unit, place_name
from gis.cases.suggest import Suggestion
from gis.settings import Settings
from tests.desk_samples import NOON, event, field, row, step
from tests.desk_samples import card as sample

T = catalogue("zh")
LANGUAGES = pytest.mark.parametrize("t", [catalogue("zh"), catalogue("en")], ids=["zh", "en"])
INCIDENT = Processes.load(Settings().data).current("incident")


def text(component: Any) -> str:
    """What it says and carries, as it goes to the browser."""
    return str(to_json(component)).replace("\\u002f", "/")


# ---- how long


@pytest.mark.parametrize(
    ("standing_", "due", "said"),
    [
        ("breached", NOON - timedelta(days=2, hours=5), "超期 2 天"),
        ("breached", NOON - timedelta(minutes=90), "超期 1 小时"),
        ("breached", NOON - timedelta(seconds=5), "超期 1 分钟"),
        ("at_risk", NOON + timedelta(minutes=40), "还有 40 分钟"),
        ("at_risk", NOON + timedelta(hours=5, minutes=30), "今天 17:30"),
        ("on_track", NOON + timedelta(days=1), "明天 12:00"),
        ("on_track", NOON + timedelta(days=3), "周一 12:00"),
        ("on_track", NOON + timedelta(days=9), "11月29日"),
        ("on_track", NOON + timedelta(days=100), "2027年2月28日"),
        ("paused", NOON, "已挂起"),
        ("done", NOON, "已办完"),
        ("none", None, "未计时"),
    ],
)
def test_a_deadline_is_said_in_a_few_words(
    monkeypatch: pytest.MonkeyPatch, standing_: str, due: Any, said: str
) -> None:
    monkeypatch.setattr(standing, "now", lambda: NOON)
    assert standing.due_words(T, row(standing=standing_, due_at=due), at=NOON) == said


def test_a_standing_is_a_shape_and_words_never_colour_alone() -> None:
    made = text(standing.badge(T, row(standing="breached", due_at=NOON - timedelta(days=1)), at=NOON))
    assert "mark-breached" in made
    assert "超期 1 天" in made


# ---- list and board


def test_a_village_is_called_what_people_call_it() -> None:
    assert place_name({"township_name": "官亭镇", "village_name": "陈庄村委会"}) == "官亭镇 陈庄"
    assert place_name({"township_name": None, "village_name": None}) == "未落点"


def test_a_row_says_unknown_and_never_nothing() -> None:
    made = queue.row(T, row(item_name=None, item_code=None, unit_name=None, assignee_name=None, place=""))
    assert (made["item"], made["unit"], made["person"], made["place"]) == ("未分类", "—", "—", "未落点")
    assert all(isinstance(value, str | int | bool) for value in made.values())


def test_rows_of_the_table_carry_the_state_in_the_language_of_the_page() -> None:
    listed = Queue((row(),), 1, {})
    assert queue.rows(catalogue("en"), listed, INCIDENT)[0]["state"] == "Being handled"
    assert queue.rows(T, listed, INCIDENT)[0]["state"] == "部门处置"


def test_a_view_nobody_counted_has_no_figure_and_zero_is_not_loud() -> None:
    made = {
        b.to_plotly_json()["props"]["data-view"]: text(b) for b in queue.views(T, {"breached": 0, "at_risk": 3}, "open")
    }
    assert "loud" not in made["breached"]
    assert "loud-at_risk" in made["at_risk"]
    assert '"B"' not in made["all"]
    assert "view-here" in made["open"]


@pytest.mark.parametrize(("total", "page", "said", "ways"), [
    (0, 1, None, None), (7, 1, "第 1–7 件，共 7 件", ("0", "2")), (250_577, 5012, "第 250,551–250,577 件，共 250,577 件", ("5011", "5013")),
    (120, 99, "第 101–120 件，共 120 件", ("2", "4")),
])  # fmt: skip
def test_the_pager_says_which_of_how_many(
    total: int, page: int, said: str | None, ways: tuple[str, str] | None
) -> None:
    made = queue.pager(T, total, page)
    if said is None:
        assert made == []
        return
    assert said in text(made)
    assert tuple(b["data-page"] for b in (c.to_plotly_json()["props"] for c in made) if "data-page" in b) == ways


def test_the_order_asked_for_is_the_arrow_shown() -> None:
    shown = {c["field"]: c.get("sort") for c in queue.columns(T, "-reported")}
    assert shown["reported"] == "desc"
    assert [f for f, s in shown.items() if s] == ["reported"]
    assert {c["field"]: c.get("sort") for c in queue.columns(T, None)}["due"] == "asc"


def test_a_board_has_a_column_a_state_and_hides_side_ways_that_are_empty() -> None:
    late, soon = (
        row(case_no="A", due_at=NOON - timedelta(days=1), standing="breached"),
        row(case_no="B", due_at=NOON + timedelta(days=1)),
    )
    made = board.board(
        T, INCIDENT, {"handling": (481, (soon, late)), "suspended": (0, ()), "closed": (0, ()), "archived": (0, ())}
    )
    states = [c.to_plotly_json()["props"]["data-state"] for c in made]
    assert states == ["reported", "accepted", "assigned", "handling", "feedback", "closed"]
    handling = text(made[3])
    assert handling.index('"data-case":"A"') < handling.index('"data-case":"B"')
    assert "还有 479 件" in handling
    assert "suspended" in [
        c.to_plotly_json()["props"]["data-state"] for c in board.board(T, INCIDENT, {"suspended": (1, (row(),))})
    ]


def test_bulk_steps_are_those_every_case_allows() -> None:
    one = [step("accept", bulk=True), step("urge", bulk=True), step("note")]
    two = [step("urge", bulk=True), step("assign", bulk=True), step("note")]
    assert [s.id for s in bulk.common([one, two])] == ["urge"]
    assert bulk.common([one, []]) == []
    assert bulk.common([]) == []
    assert "没有可以一起办的步骤" in text(bulk.bar(T, 2, []))


# ---- the card


@LANGUAGES
def test_the_card_says_the_deadline_and_its_arithmetic(t: Catalogue) -> None:
    made = text(card.card(t, sample(), INCIDENT))
    for words in (
        "周五 09:20 受理",
        "2 个工作日；周六周日休",
        "138****5678",
        "路灯不亮",
        "王建军",
        "EPSG:4326",
        "12 m",
    ):
        assert words in made, words
    assert "data-reveal" not in made
    assert "data-reveal" in text(card.card(t, sample(), INCIDENT, may_reveal=True))


def test_steps_already_gone_are_filled_and_the_one_it_stands_in_is_named() -> None:
    made = card._path(T, sample(), INCIDENT).children
    assert [(li.className, li.children.children) for li in made][:5] == [
        ("path-done", "事件上报"), ("path-done", "分类受理"), ("path-done", "响应指定"), ("path-now", "部门处置"), ("path-next", "结果反馈"),
    ]  # fmt: skip
    returned = replace(
        sample(),
        row=row(state="returned", state_name="退回"),
        events=(event(to_state="事件上报"), event(to_state="退回")),
    )
    assert [li.className for li in card._path(T, returned, INCIDENT).children][:3] == [
        "path-done",
        "path-next",
        "path-next",
    ]


def test_a_dangerous_step_and_merging_stand_in_the_menu_not_beside_the_main_one() -> None:
    steps = (
        step("merge", fields=(field("into", "case"),)),
        step("return", tone="danger"),
        step("accept", tone="main"),
        step("urge"),
    )
    first, second, menu = card._actions(T, steps).children
    assert first.to_plotly_json()["props"]["data-take"] == "accept"
    assert "control-main" in first.className
    assert second.to_plotly_json()["props"]["data-take"] == "urge"
    assert all(name in text(menu) for name in ('"return"', '"merge"'))


def test_an_item_is_suggested_with_its_share_only_while_there_is_none() -> None:
    guess = [Suggestion("0303", "道路与路灯损坏", 0.86, ("路灯",))]
    unclassified = sample(
        row=row(item_code=None, item_name=None), steps=(step("accept", fields=(field("item", "item"),)),)
    )
    made = text(card.card(T, unclassified, INCIDENT, suggested=guess))
    assert "86%" in made
    assert '"data-prefill":"item=0303"' in made
    assert "依据：路灯" in made
    assert "86%" not in text(card.card(T, sample(), INCIDENT, suggested=guess))


def test_a_photo_that_is_not_ready_is_said_and_not_fetched() -> None:
    made = text(
        history.photos(
            T,
            [
                {"photo_id": 1, "stage": "before", "state": "received", "taken_at": None},
                {"photo_id": 2, "stage": "after", "state": "ready", "taken_at": NOON},
            ],
        )
    )
    assert "/api/photos/1" not in made
    assert "/api/photos/2?size=thumb" in made
    assert "11月20日 12:00 拍摄" in made


def test_personal_answers_never_reach_the_card() -> None:
    sealed = FormField(id="id_number", name="身份证号", kind="text", personal=True)
    process = INCIDENT.model_copy(
        update={"report": [sealed, FormField(id="acres", name="面积", kind="number", unit="亩")]}
    )
    data = {"id_number": "110101199001011234", "acres": 2, "unit": "swj", "nobody_knows": "x"}
    assert card.answers(T, data, process) == [("面积", "2 亩")]


def test_two_cases_beside_each_other_keep_the_one_reported_first() -> None:
    merge = (step("merge", fields=(field("into", "case"),)),)
    first = sample(row=row(case_id=1, case_no="SJ1", reported_at=NOON - timedelta(hours=9)), steps=merge)
    second = sample(row=row(case_id=2, case_no="SJ2", title="路灯坏了"), steps=merge)
    for made in (text(compare.beside(T, first, second)), text(compare.beside(T, second, first))):
        assert '"data-of":"SJ2"' in made
        assert '"data-prefill":"into=SJ1"' in made
        assert "differs" in made
    assert '"disabled":true' in text(compare.beside(T, first, sample(row=row(case_id=2, case_no="SJ2"), steps=())))


# ---- forms


@LANGUAGES
@pytest.mark.parametrize("kind", get_args(FieldKind))
def test_every_kind_of_field_has_an_input_a_name_and_a_place_for_its_fault(t: Catalogue, kind: str) -> None:
    made = text(
        form.field(
            t,
            field("thing", kind, required=True, options={"a": "甲", "b": "乙"} if kind == "choice" else {}),
            units=[offices.Office("swj", "县水务局", "部门")],
        )
    )
    assert '"data-field":"thing"' in made
    assert "field-fault" in made
    assert any(mark in made for mark in ('"data-input"', '"data-select"', '"data-option"', "Textarea")), made
    assert t("desk.form.required") in made


def test_items_are_offered_under_their_category() -> None:
    made = text(form.field(T, field("item", "item"), units=(), value="0303"))
    assert '"label":"改善民生"' in made
    assert '"data-value":"0303"' in made


def test_units_stand_in_the_order_people_look_for_them_and_each_once() -> None:
    town, other, village, far = "130529101", "130529100", "130529101203", "130529100201"
    units_ = [
        Unit("jw", "县纪委监委", 1), Unit("swj", "县水务局", 1), Unit(other, "甲镇人民政府", 2, other), Unit(town, "乙镇人民政府", 2, town),
        Unit(far, "丁村委会", 3, far), Unit(village, "丙村委会", 3, village), Unit("130529101204", "戊村委会", 3, "130529101204"),
    ]  # fmt: skip
    made = offices.ordered(T, units_, here=("swj", village, town, None), own=(other,))
    assert [(o.under, o.name) for o in made] == [
        ("与本件有关", "县水务局"), ("与本件有关", "丙村委会"), ("与本件有关", "乙镇人民政府"), ("我这里的", "甲镇人民政府"), ("部门", "县纪委监委"),
        ("甲镇人民政府", "丁村委会"), ("乙镇人民政府", "戊村委会"),
    ]  # fmt: skip
    county = offices.ordered(T, units_, own=("130529",))
    assert [o.name for o in county][:3] == ["县纪委监委", "县水务局", "甲镇人民政府"]
    assert sorted(o.unit for o in county) == sorted(u.unit for u in units_)


def test_a_unit_is_chosen_by_typing_and_what_is_chosen_already_stands_there() -> None:
    units_ = [offices.Office("swj", "县水务局", "部门"), offices.Office("130529101", "乙镇人民政府", "乙镇人民政府")]
    made = text(form.field(T, field("unit", "unit"), units=units_, value="swj"))
    assert "select-searched" in made
    assert '"data-value":"swj"' in made
    assert made.index('"label":"部门"') < made.index('"label":"乙镇人民政府"')


def test_people_found_say_which_question_they_answer() -> None:
    assert '"data-for":"7"' in text(filters.found(T, [(1, "王五", "网格员")], "7"))
    assert '"data-for":"8"' in text(filters.found(T, [], "8"))


def test_the_form_asks_for_evidence_the_reason_and_says_who_will_read() -> None:
    asked = step("feedback", fields=(field("result", "longtext", required=True, public=True), field("id", "text", personal=True)),
                 needs_reason=True, evidence=({"stage": "after", "at_least": 2},))  # fmt: skip
    made = text(
        form.dialog(T, asked, case_no="SJ1", title="灯", revision=4, templates=[("垃圾已清理", "堆放的垃圾已清运。")])
    )
    for words in ("至少 2 张", "上报人可见", "加密保存", "垃圾已清理", '"data-revision":"4"'):
        assert words in made, words
    assert made.index("垃圾已清理") < made.index('"data-field":"note"')  # sentences go where people read them


def test_a_new_case_of_the_office_asks_for_no_reporter_to_seal() -> None:
    tasks = Processes.load(Settings().data).current("task")
    assert "reporter_phone" in text(intake.dialog(T, INCIDENT, units=()))
    assert "reporter_phone" not in text(intake.dialog(T, tasks, units=()))


# ---- reports, handover


def line(**changed: Any) -> dict[str, Any]:
    plain = {"unit": "swj", "unit_name": "县水务局", "reported": 40, "accepted": 36, "replied": 30, "closed": 27, "due": 30, "on_time": 24, "rated": 10,
             "satisfied": 9, "reopened": 1, "breached": 2, "response_p50_min": 31.0, "response_p90_min": 9000.0}  # fmt: skip
    return plain | changed


def test_every_rate_stands_on_its_denominator() -> None:
    assert units.cell(T, line(), "on_time") == ("80.0%", "24 / 30")
    assert units.cell(T, line(), "satisfied") == ("90.0%", "9 / 10 · 覆盖 37%")
    assert units.cell(T, line(), "p90")[0] == "6.2 天"


def test_few_cases_give_numbers_and_no_rate_and_none_gives_unknown() -> None:
    assert units.cell(T, line(due=4, on_time=3), "on_time") == ("3 / 4", "少于 5 件")
    assert units.cell(T, line(due=0, on_time=0), "on_time") == ("无数据", "")
    assert units.cell(T, line(response_p50_min=None), "p50") == ("无数据", "")


def test_the_sum_adds_counts_and_claims_no_percentile() -> None:
    total = units.sum_of([line(), line(closed=3)])
    assert (total["closed"], total["accepted"]) == (30, 72)
    assert units.cell(T, total, "p50") == ("—", "")


def test_a_unit_named_like_a_formula_stays_text_in_the_file() -> None:
    made = written(T, [line(unit_name='=HYPERLINK("http://x","y")'), line(unit="@swj", unit_name="+1")])
    assert made.startswith(b"\xef\xbb\xbf")
    cells = list(csv.reader(io.StringIO(made.decode("utf-8-sig"))))
    assert len(cells[0]) == len(COLUMNS)
    assert all(not value.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in cells[1:] for value in cell)


def test_what_is_handed_over_is_counted_and_listed_before() -> None:
    made = text(leaving.preview(T, [row()], 30, {"部门处置": 30}, giver="王建军", taker="李秀梅"))
    for words in ("王建军 → 李秀梅：30 件", "另有 29 件", "SJ2026112000007"):
        assert words in made, words
    assert "没有没办完的件" in text(leaving.preview(T, [], 0, {}, giver="王建军", taker="李秀梅"))


@pytest.mark.parametrize(("sent", "days"), [
    ({"period": "week"}, (date(2026, 11, 16), date(2026, 11, 20))), ({"period": "last_month"}, (date(2026, 10, 1), date(2026, 10, 31))),
    ({"period": "quarter"}, (date(2026, 10, 1), date(2026, 11, 20))), ({"from": "2026-02-01", "to": "2026-02-03"}, (date(2026, 2, 1), date(2026, 2, 3))),
    ({"from": "2026-02-03", "to": "2026-02-01"}, (date(2026, 11, 1), date(2026, 11, 20))), ({"period": "'; DROP"}, (date(2026, 11, 1), date(2026, 11, 20))),
])  # fmt: skip
def test_a_period_is_two_days_and_nonsense_is_this_month(sent: dict[str, str], days: tuple[date, date]) -> None:
    assert period(sent, now=date(2026, 11, 20))[1:] == days


# ---- the address


def test_what_the_address_asks_for_is_read_and_what_makes_no_sense_is_dropped() -> None:
    asked = parse({"view": "breached", "state": "accepted,assigned,accepted", "item": ["0303"], "at": "130529200", "who": "12", "text": " 路灯 ", "from": "2026-11-01",
                   "sort": "-reported", "page": "3", "show": "board"})  # fmt: skip
    assert (asked.view, asked.states, asked.items, asked.at, asked.who, asked.text, asked.page, asked.board) == (
        "breached", ("accepted", "assigned"), ("0303",), "130529200", 12, "路灯", 3, True)  # fmt: skip
    assert asked.start == date(2026, 11, 1)
    odd = parse(
        {
            "view": "x' OR 1=1",
            "state": "a;b",
            "at": "12",
            "who": "-1",
            "from": "tomorrow",
            "sort": "due; DROP TABLE",
            "page": "0",
            "text": 5,
        }
    )
    assert odd == parse({})
    assert parse(None) == parse([1]) == parse("x")
    assert not parse({"page": 2}).filtered


def test_menus_say_what_is_chosen_and_long_lists_can_be_searched() -> None:
    many = [(str(n), f"事项{n}") for n in range(30)]
    made = text(filters.menu(T, "item", many, ["3", "4"]))
    assert "事项3 等 2 项" in made
    assert "find-item" in made
    assert "find-" not in text(filters.menu(T, "process", many[:2], ["0"], many=False, quiet=True))


def test_each_address_has_its_own_page_and_all_ids_are_known() -> None:
    assert page_at("/desk") is PAGES["/desk"]
    assert page_at("/desk/SJ2026112000007") is PAGES["/desk/{case_no}"]
    assert page_at("/desk/reports") is PAGES["/desk/reports"]
    assert page_at("/desk/a/b") is None
    assert page_at("/desk/<script>") is None
    known = text(every_id(Settings()))
    assert all(f'"id":"{name}"' in known for name in ("map", "place", "desk-grid", "desk-people", "desk-leaving-said"))
