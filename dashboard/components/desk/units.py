"""Reports per unit (单位报表): every rate with its denominator, unclosed cases counted as due; below 5 no rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.components.desk.bar import slot
from dashboard.text import Catalogue

FEWEST = 5  # cases below which a rate says nothing (LOOK: below 5 no rank)
Line = Mapping[str, Any]
COLUMNS = ("unit", "reported", "accepted", "closed", "on_time", "breached", "reopened", "satisfied", "p50", "p90")
_COUNTS = ("reported", "accepted", "replied", "closed", "due", "on_time", "rated", "satisfied", "reopened", "breached")
MOST = 60  # lines a person reads; the rest, and all of it, are in the file
LEVELS = ("office", "village")
PERIODS = ("week", "month", "last_month", "quarter", "year")


def picker(t: Catalogue, start: date, end: date, chosen: str, level: str = "office") -> Component:
    """Return the choice of the period and of whose figures, and the way to the file."""
    ready = [
        html.Button(
            t(f"desk.period.{p}"),
            className="view view-here" if p == chosen else "view",
            **{"data-period": p, "aria-pressed": str(p == chosen).lower()},
        )
        for p in PERIODS
    ]
    boxes = [
        html.Div(className="slot", **slot("date", f"desk-{name}", t(f"desk.filter.{name}"), value=day.isoformat()))
        for name, day in (("from", start), ("to", end))
    ]
    levels = [
        html.Button(
            t(f"desk.report.{name}"),
            className="switch-here" if name == level else "",
            **{"data-level": name, "aria-pressed": str(name == level).lower()},
        )
        for name in LEVELS
    ]
    file = html.A(
        t("desk.report.csv"),
        href=f"/desk/reports.csv?from={start}&to={end}",
        className="control",
        download=f"units-{start}-{end}.csv",
    )
    return html.Div(
        [
            *ready,
            html.Div(boxes, className="period-dates", key=f"{start}{end}"),
            html.Button(t("desk.filter.apply"), className="control", **{"data-period-dates": "1"}),
            html.Span(className="spring"),
            html.Div(levels, className="switch", role="group"),
            file,
        ],
        className="period",
    )


def table(t: Catalogue, lines: Sequence[Line], total: Line | None = None) -> Component:
    """Return one row a unit, those with the most cases first, and the sum of all; the denominator stands under each rate."""
    if not lines and total is None:
        return html.Div(html.Strong(t("desk.report.empty")), className="desk-empty")
    head = html.Tr(
        [
            html.Th(
                [html.Span(t(f"desk.report.{c}")), html.Small(t(f"desk.report.{c}_note"))],
                scope="col",
                className="" if c == "unit" else "number",
            )
            for c in COLUMNS
        ]
    )
    body = [
        html.Tr([_cell(t, line, c) for c in COLUMNS], className="report-sum" if line.get("sum") else "")
        for line in [*lines[:MOST], *([total] if total else [])]
    ]
    rest = [html.P(t("desk.report.rest", n=f"{len(lines) - MOST:,}"), className="muted")] if len(lines) > MOST else []
    return html.Div([html.Table([html.Thead(head), html.Tbody(body)], className="plain-table report"), *rest])


def _cell(t: Catalogue, line: Line, column: str) -> Component:
    if column == "unit":
        return html.Th(
            t("desk.report.sum") if line.get("sum") else line["unit_name"] or t("desk.report.no_unit"), scope="row"
        )
    main, note = cell(t, line, column)
    look = "number unknown" if main == t("word.unknown") else "number"
    return html.Td([html.Span(main), *([html.Small(note)] if note else [])], className=look)


def cell(t: Catalogue, line: Line, column: str) -> tuple[str, str]:
    """Return what a cell says and the denominator under it; too few cases are said, not divided."""
    match column:
        case "closed":
            return rate(t, line["closed"], line["accepted"])
        case "on_time":
            return rate(t, line["on_time"], line["due"])
        case "reopened":
            return rate(t, line["reopened"], line["closed"])
        case "satisfied":
            main, note = rate(t, line["satisfied"], line["rated"])
            covered = (
                t("desk.report.coverage", share=f"{100 * line['rated'] / line['closed']:.0f}%")
                if line["closed"]
                else ""
            )
            return main, " · ".join(filter(None, (note, covered)))
        case "p50" | "p90":
            minutes = line[f"response_{column}_min"]
            if line.get("sum"):
                return t("desk.none"), ""  # a percentile of all is no sum of the units' own
            return (
                (minutes_long(t, float(minutes)), t("desk.report.answered", n=f"{line['replied']:,}"))
                if minutes is not None
                else (t("word.unknown"), "")
            )
    return f"{line[column]:,}", ""


def sum_of(lines: Sequence[Line]) -> dict[str, Any]:
    """Return the line of all units together."""
    return {"unit": "", "sum": True, "response_p50_min": None, "response_p90_min": None} | {
        name: sum(line[name] for line in lines) for name in _COUNTS
    }


def disagreement(t: Catalogue, handlers: Sequence[Line]) -> list[Component]:
    """Return independent call-backs per handler: how many found something else than was reported. Nothing when none was asked."""
    if not handlers:
        return []
    head = html.Tr(
        [
            html.Th(t(f"desk.report.{c}"), className="" if c == "handler" else "number")
            for c in ("handler", "asked", "answered_n", "disagree")
        ]
    )
    body = [
        html.Tr([html.Th(h["handler_name"] or t("desk.none"), scope="row"), html.Td(f"{h['asked']:,}", className="number"), html.Td(f"{h['answered']:,}", className="number"),
                 html.Td([html.Span(main), html.Small(note)], className="number")])
        for h in handlers
        for main, note in [rate(t, h["disagreed"], h["answered"])]
    ]  # fmt: skip
    return [
        html.H2(t("desk.report.callbacks")),
        html.P(t("desk.report.callbacks_note"), className="muted"),
        html.Table([html.Thead(head), html.Tbody(body)], className="plain-table report"),
    ]


def rate(t: Catalogue, part: int, whole: int) -> tuple[str, str]:
    """Return a share with its denominator; with fewer than `FEWEST` cases the numbers alone."""
    under = t("desk.report.of", a=f"{part:,}", b=f"{whole:,}")
    if whole == 0:
        return t("word.unknown"), ""
    return (f"{100 * part / whole:.1f}%", under) if whole >= FEWEST else (f"{part:,} / {whole:,}", t("desk.report.few"))


def minutes_long(t: Catalogue, minutes: float) -> str:
    """Say a length of time: 40 分钟, 1.8 小时, 3.2 天."""
    if minutes < 60:
        return t("desk.long.minutes", n=f"{minutes:.0f}")
    return (
        t("desk.long.hours", n=f"{minutes / 60:.1f}")
        if minutes < 48 * 60
        else t("desk.long.days", n=f"{minutes / 1440:.1f}")
    )
