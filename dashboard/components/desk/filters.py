"""The filter bar: one menu a field, what is chosen written on it; assets/82-desk-hands.js turns a choice into an address."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time

from dash import html
from dash.development.base_component import Component

from dashboard.components.desk import standing
from dashboard.components.desk.bar import slot
from dashboard.components.icon import icon
from dashboard.text import Catalogue
from gis.clock import ZONE

Choice = tuple[str, str]  # what goes into the address, what people read
_SEARCH_FROM = 12  # choices; a longer list gets a box to search it


def menu(
    t: Catalogue,
    field: str,
    choices: Sequence[Choice],
    chosen: Iterable[str],
    *,
    many: bool = True,
    quiet: bool = False,
) -> Component:
    """Return the menu of one field.

    Parameters
    ----------
    field : str
        Name in the address and in the catalogue (desk.filter.*).
    many : bool
        Several may be chosen at once; otherwise the next choice takes the place of the last.
    quiet : bool
        What is chosen is what is always chosen: said, not lit, and nothing to clear.
    """
    picked = [code for code in chosen if code]
    names = dict(choices)
    words = [names.get(code, code) for code in picked]
    said = t("desk.filter.several", first=words[0], n=len(words)) if len(words) > 1 else words[0] if words else ""
    find = (
        [html.Div(className="slot menu-find", **slot("find", f"find-{field}", t("desk.filter.find")))]
        if len(choices) > _SEARCH_FROM
        else []
    )
    items = [
        html.Button(
            [html.I(className="tick", **{"aria-hidden": "true"}), html.Span(name)],
            className="menu-item menu-item-here" if code in picked else "menu-item", role="menuitemcheckbox",
            **{"data-choose": field, "data-code": code, "data-many": str(int(many)), "aria-checked": str(code in picked).lower()},
        )
        for code, name in choices
    ]  # fmt: skip
    clear = (
        [
            html.Button(
                t("desk.filter.any"),
                className="menu-item menu-any",
                **{"data-choose": field, "data-code": "", "data-many": "0"},
            )
        ]
        if picked and not quiet
        else []
    )
    return _holder(
        t,
        field,
        said,
        quiet=quiet,
        items=[*find, *clear, *items] or [html.Div(t("desk.filter.nothing"), className="search-note")],
    )


def dates(t: Catalogue, start: date | None, end: date | None) -> Component:
    """Return the menu of the day of report, from and to, both included."""
    days = [standing.day(t, datetime.combine(day, time(), ZONE)) if day else "" for day in (start, end)]
    said = (
        t(
            "desk.filter.both" if all(days) else "desk.filter.since" if days[0] else "desk.filter.until",
            a=days[0],
            b=days[1],
        )
        if any(days)
        else ""
    )
    boxes = [
        html.Label(
            [
                html.Span(t(f"desk.filter.{name}")),
                html.Div(
                    className="slot",
                    **slot("date", f"desk-{name}", t(f"desk.filter.{name}"), value=value.isoformat() if value else ""),
                ),
            ]
        )
        for name, value in (("from", start), ("to", end))
    ]
    body = html.Div([*boxes, html.Button(t("desk.filter.apply"), className="control control-main", **{"data-dates": "1"})], className="menu-dates",
                    key=f"{start}/{end}")  # fmt: skip
    return _holder(t, "reported", said, [body])


def people(t: Catalogue, chosen: str | None, name: str) -> Component:
    """Return the menu of the person who has it: a box to search in, what was found comes by callback."""
    return _holder(
        t, "who", name if chosen else "",
        [
            html.Div(className="slot menu-find", **slot("find-person", "find-who", t("desk.filter.find_person"))),
            *([html.Button(t("desk.filter.any"), className="menu-item menu-any", **{"data-choose": "who", "data-code": "", "data-many": "0"})] if chosen else []),
            html.Div(className="menu-found"),
        ],
    )  # fmt: skip


def found(t: Catalogue, people: Sequence[tuple[int, str, str]], asked: str = "") -> list[Component]:
    """Return the people found, as (account, name, what and where); `asked` says which question this answers."""
    if not people:
        return [html.Div(t("desk.filter.nobody"), className="search-note", **{"data-for": asked})]
    return [
        html.Button([html.Span(name), html.Small(where, className="muted")], className="menu-item", role="option",
                    **{"data-person": str(account), "data-person-name": name, "data-for": asked})
        for account, name, where in people
    ]  # fmt: skip


def _holder(t: Catalogue, field: str, said: str, items: Sequence[Component], *, quiet: bool = False) -> Component:
    label = t(f"desk.filter.{field}")
    summary = (
        [html.Span(label, className="muted"), html.Span(said, className="strong said")] if said else [html.Span(label)]
    )
    return html.Details(
        [
            html.Summary([*summary, icon("chevron-down", small=True)], className="control filter filter-set" if said and not quiet else "control filter",
                         title=label, **{"aria-label": f"{label} {said}".strip()}),
            html.Div(items, className="menu menu-filter", role="menu"),
        ],
        className="menu-holder", id=f"desk-filter-{field}",
    )  # fmt: skip


def bar(t: Catalogue, menus: Sequence[Component], *, filtered: bool, board: bool) -> list[Component]:
    """Return the whole bar: the menus, clear, and table or board."""
    switch = html.Div(
        [
            html.Button([icon(shape, small=True), html.Span(t(f"desk.show.{name}"))], className="switch-here" if (name == "board") == board else "",
                        **{"data-show": name, "aria-pressed": str((name == "board") == board).lower()})
            for name, shape in (("list", "list"), ("board", "board"))
        ],
        className="switch", role="group", **{"aria-label": t("desk.show.aria")},
    )  # fmt: skip
    clear = [html.Button(t("desk.filter.clear"), className="text-button", **{"data-clear": "1"})] if filtered else []
    return [*menus, *clear, switch]
