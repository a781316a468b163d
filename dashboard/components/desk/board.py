"""The board (看板): one column a state of the process, whatever process; counts, and the first cards of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dash import html
from dash.development.base_component import Component

from dashboard.components.desk import standing
from dashboard.text import Catalogue
from gis.cases.definition import Process, State
from gis.cases.model import Row

FIRST = 20  # cards of a column before 更多
Counted = Mapping[str, tuple[int, Sequence[Row]]]  # state → how many, the first of them


def board(t: Catalogue, process: Process, cases: Counted) -> list[Component]:
    """Return a column a state in the order of the steps; a state beside the main way (挂起) only while it has cases.

    Parameters
    ----------
    cases : mapping
        Per state how many there are, and the first of them in the order of the queue.
    """
    firsts = {s.step: s.id for s in reversed(process.state)}
    shown = [
        s
        for s in process.state
        if cases.get(s.id, (0, ()))[0] or (firsts[s.step] == s.id and not _is_after_end(s, process))
    ]
    return [_column(t, state, *cases.get(state.id, (0, ()))) for state in sorted(shown, key=lambda s: s.step)]


def _is_after_end(state: State, process: Process) -> bool:
    """A further end, 归档: shown when it has cases, and not as an empty column."""
    return state.ends and any(s.ends and s.step < state.step for s in process.state)


def _column(t: Catalogue, state: State, count: int, first: Sequence[Row]) -> Component:
    rest = count - len(first)
    more = (
        [html.Button(t("desk.board.more", n=f"{rest:,}"), className="board-more", **{"data-more": state.id})]
        if rest > 0
        else []
    )
    # What is due first stands first; what has no deadline last.
    cards = [_card(t, row) for row in sorted(first, key=lambda r: (r.due_at is None, r.due_at or r.reported_at))]
    head = html.H3(
        [html.Span(state.name_en if t.language == "en" else state.name, title=state.hint), html.B(f"{count:,}")]
    )
    body = cards or [html.Div(t("desk.board.none"), className="board-none")]
    return html.Section(
        [head, html.Div([*body, *more], className="board-cards")], className="board-column", **{"data-state": state.id}
    )


def _card(t: Catalogue, row: Row) -> Component:
    return html.Button(
        [
            html.Span([standing.badge(t, row), html.Span(_tail(row.case_no), className="board-no", title=row.case_no)], className="board-top"),
            html.Span(row.title, className="board-title"),
            html.Span(" · ".join(filter(None, (row.place or t("word.unplaced"), row.assignee_name or row.unit_name))), className="board-where"),
        ],
        className=f"board-card board-is-{row.standing}", **{"data-case": row.case_no},
    )  # fmt: skip


def _tail(case_no: str) -> str:
    """Day and number of the day, what people say of one another's cases; the rest is in the title."""
    return f"…{case_no[-9:]}" if len(case_no) > 12 else case_no
