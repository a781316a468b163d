"""The form of a step, made from its definition alone: any process, any field, faults shown where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from dash import html
from dash.development.base_component import Component

from dashboard.components.desk.bar import slot
from dashboard.components.desk.offices import Office
from dashboard.text import Catalogue
from gis.cases.model import Step
from gis.codelists import codelist

Field = Mapping[str, Any]  # FormField as data
Options = Mapping[str, str]
# The kinds of gis.cases.definition.FieldKind whose input is one native box, and which.
_BOXES = {
    "text": "text",
    "number": "number",
    "money": "number",
    "date": "date",
    "datetime": "datetime-local",
    "bool": "checkbox",
}
_OWN = ("rating", "point", "extent", "person", "case")  # made whole by assets/80-desk-fields.js
_LISTS = {"item": "incident_item", "deadline_class": "deadline_class"}
_FEW = 4  # choices shown side by side; more go into a list


def dialog(
    t: Catalogue,
    step: Step,
    *,
    case_no: str,
    title: str,
    revision: int,
    units: Sequence[Office] = (),
    guesses: Sequence[Component] = (),
    prefill: Mapping[str, str] | None = None,
    templates: Sequence[tuple[str, str]] = (),
    near: Sequence[str] = (),
    count: int = 1,
    seq: int = 0,
) -> Component:
    """Return the dialog of one step.

    Parameters
    ----------
    units : sequence of Office
        What a field of kind ``unit`` offers, in this order.
    guesses : sequence of Component
        What the case sounds like, shown under a field of kind ``item``; nothing is chosen by it.
    prefill : mapping of field id to value
        What a suggestion put in; to be seen and changed before it is sent.
    templates : sequence of (title, sentence)
        What may be put into the answer people read, or into the note where there is none (常用语).
    near : sequence of str
        Case numbers a field of kind ``case`` offers first.
    count : int
        How many cases the step is taken for.
    """
    given = prefill or {}
    name = step.name_en if t.language == "en" else step.name
    # Sentences go into the first long answer; only a step without one has them at its note.
    told = next((f["id"] for f in step.form if f["kind"] == "longtext"), None)
    quick = _templates(t, templates)
    fields = [
        field(
            t,
            f,
            units=units,
            value=given.get(f["id"]),
            near=near,
            below=quick if f["id"] == told else guesses if f["kind"] == "item" else (),
        )
        for f in step.form
    ]
    evidence = [_evidence(t, e) for e in step.evidence]
    note = _note(t, must=step.needs_reason, below=() if told else quick)
    what = t("desk.bulk.title", n=count) if count > 1 else f"{case_no} {title}"
    return html.Div(
        [
            html.Div([html.H2(name), html.P(what, className="muted")], className="dialog-head"),
            html.Div([*fields, *evidence, note], className="dialog-body"),
            html.Div(role="alert", className="dialog-said"),
            html.Div(
                [
                    html.Button(t("desk.cancel"), className="control", **{"data-cancel": "1"}),
                    html.Button(t("desk.confirm", step=name), className=f"control control-{'danger' if step.tone == 'danger' else 'main'}", **{"data-send": "1"}),
                ],
                className="dialog-foot",
            ),
        ],
        className="dialog", role="dialog", key=f"{case_no}/{step.id}/{revision}/{seq}",
        **{"aria-modal": "true", "aria-label": name, "data-step": step.id, "data-no": case_no, "data-revision": str(revision), "data-count": str(count)},
    )  # fmt: skip


def told(t: Catalogue, message: str, next_step: str) -> Component:
    """Return a dialog that only says why there is no form."""
    close = html.Button(t("word.close"), className="control control-main", **{"data-cancel": "1"})
    return html.Div([html.Div([html.H2(message), html.P(next_step)], className="dialog-head"), html.Div(close, className="dialog-foot")], className="dialog",
                    role="alertdialog", **{"aria-modal": "true", "aria-label": message})  # fmt: skip


def field(
    t: Catalogue,
    f: Field,
    *,
    units: Sequence[Office],
    value: str | None = None,
    near: Sequence[str] = (),
    below: Sequence[Component] = (),
) -> Component:
    """Return one field: its name with the mark of what is required, its input, its hint, and the place of its fault."""
    name = (f.get("name_en") or f["name"]) if t.language == "en" else f["name"]
    seal = [html.Span(t("desk.form.personal"), className="chip chip-quiet")] if f.get("personal") else []
    shown = [html.Span(t("desk.form.public"), className="chip chip-quiet")] if f.get("public") else []
    label = html.Div([html.Span(name), *required(t, bool(f.get("required"))), *seal, *shown], className="field-label")
    hint = [html.Small(f["hint"], className="field-hint")] if f.get("hint") else []
    return html.Div(
        [label, _input(t, f, name, units=units, value=value, near=near), *below, *hint, html.Div(className="field-fault", role="alert")],
        className=f"field field-{f['kind']}", **{"data-field": f["id"], "data-kind": f["kind"]},
    )  # fmt: skip


def required(t: Catalogue, is_required: bool) -> list[Component]:
    """Return the mark of a field that must be filled."""
    return (
        [html.Em("*", title=t("desk.form.required"), **{"aria-label": t("desk.form.required")})] if is_required else []
    )


def _input(
    t: Catalogue, f: Field, name: str, *, units: Sequence[Office], value: str | None, near: Sequence[str]
) -> Component:
    kind, options = f["kind"], _options(f, language=t.language)
    common = {"value": value or "", "max": str(f.get("max") if f.get("max") is not None else ""), "min": str(f.get("min") if f.get("min") is not None else ""),
              "length": str(f.get("max_length") or 2000), "unit": f.get("unit") or (t("desk.form.yuan") if kind == "money" else "")}  # fmt: skip
    if kind == "longtext":
        return html.Textarea(name=f["id"], rows=4, maxLength=f.get("max_length") or 2000, **{"aria-label": name})
    if kind in _BOXES:
        return html.Div(className="slot", **slot(_BOXES[kind], f["id"], name, **common))
    if kind in _OWN:
        return html.Div(className="slot", **slot(kind, f["id"], name, **common, near=",".join(near)))
    if kind == "choice" and 0 < len(options) <= _FEW:
        chosen = {True: "choice-button choice-here", False: "choice-button"}
        buttons = [
            html.Button(
                label,
                className=chosen[code == value],
                type="button",
                **{"data-option": code, "aria-pressed": str(code == value).lower()},
            )
            for code, label in options.items()
        ]
        return html.Div(buttons, className="choices", role="group", **{"aria-label": name})
    if kind == "unit" and not options:
        return searched(t, f["id"], name, units, value=value)
    return select(t, f["id"], name, options, value=value, grouped=kind == "item")


def select(
    t: Catalogue, field_id: str, name: str, options: Options, *, value: str | None = None, grouped: bool = False
) -> Component:
    """Return a native list; items stand under their category."""
    empty = html.Option(t("desk.form.choose"), value="")

    def option(code: str, label: str) -> Component:
        return html.Option(label, value=code)

    if not grouped:
        made: list[Component] = [option(code, label) for code, label in options.items()]
    else:
        listed = codelist("incident_item")
        made = [
            html.Optgroup([option(code, label) for code, label in group], label=category)
            for category, group in groupby(options.items(), key=lambda o: listed.get(o[0], {}).get("category", ""))
        ]
    return html.Div(
        html.Select([empty, *made], **{"aria-label": name, "data-value": value or ""}),
        className="select",
        **{"data-select": field_id},
    )


def searched(t: Catalogue, field_id: str, name: str, units: Sequence[Office], *, value: str | None = None) -> Component:
    """Return the list of units under their headings; assets/81-desk-pick.js puts a box to type in over it."""
    empty = html.Option(t("desk.form.choose"), value="")
    groups = [
        html.Optgroup([html.Option(one.name, value=one.unit) for one in group], label=under)
        for under, group in groupby(units, key=lambda one: one.under)
    ]
    return html.Div(
        html.Select([empty, *groups], **{"aria-label": name, "data-value": value or ""}),
        className="select select-searched",
        **{"data-select": field_id},
    )


def _options(f: Field, *, language: str) -> dict[str, str]:
    if f.get("options"):
        return dict(f["options"])
    listed = f.get("codelist") or _LISTS.get(f["kind"])
    if not listed:
        return {}
    return {
        code: (entry.get("name_en") if language == "en" else None) or entry["name"]
        for code, entry in codelist(listed).items()
    }


def _evidence(t: Catalogue, e: Mapping[str, Any]) -> Component:
    stage, least = e["stage"], int(e["at_least"])
    label = html.Div(
        [
            html.Span(t(f"desk.stage.{stage}")),
            *required(t, True),
            html.Small(t("desk.form.at_least", n=least), className="muted"),
        ],
        className="field-label",
    )
    box = html.Div(className="slot", **slot("photos", stage, t(f"desk.stage.{stage}"), least=str(least)))
    return html.Div(
        [label, box, html.Div(className="field-fault", role="alert")],
        className="field field-photos",
        **{"data-field": "photos", "data-kind": "photos"},
    )


def _templates(t: Catalogue, sentences: Sequence[tuple[str, str]]) -> list[Component]:
    buttons = [
        html.Button(title, className="template", type="button", title=words, **{"data-template": words})
        for title, words in sentences
    ]
    return (
        [html.Div([html.Small(t("desk.form.templates"), className="muted"), *buttons], className="templates")]
        if buttons
        else []
    )


def _note(t: Catalogue, *, must: bool, below: Sequence[Component]) -> Component:
    label = html.Div([html.Span(t("desk.form.note")), *required(t, must)], className="field-label")
    box = html.Textarea(name="note", rows=3, maxLength=1000, **{"aria-label": t("desk.form.note")})
    return html.Div(
        [label, box, *below, html.Div(className="field-fault", role="alert")],
        className="field field-note",
        **{"data-field": "note", "data-kind": "note"},
    )
