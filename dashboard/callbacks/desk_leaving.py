"""Handover: what a person who leaves has, shown first; then all of it given to another in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashboard.components.desk import leaving, queue
from dashboard.text import Catalogue
from gis.access.principal import current
from gis.cases.engine import Cases
from gis.errors import OnemapError


class Leaving:
    """Preview and hand over."""

    def __init__(self, cases: Cases) -> None:
        self._cases = cases

    def preview(self, t: Catalogue, sent: Mapping[str, Any]) -> Any:
        """Return what would go from one person to the other."""
        giver, taker = _id(sent.get("from")), _id(sent.get("to"))
        if not giver or not taker or giver == taker:
            return queue.refused(t("desk.leaving.choose"), t("desk.leaving.choose_next"))
        who = current.get()
        assert who is not None  # the gate let them in
        try:
            goes = self._cases.handover_preview(giver, principal=who)
        except OnemapError as e:
            return queue.refused(e.message, e.next_step)
        names = {
            s.id: s.name_en if t.language == "en" else s.name
            for p in self._cases.processes.current_by_id.values()
            for s in p.state
        }
        states = {names.get(state, state): n for state, n in goes["states"].items()}
        return leaving.preview(
            t,
            goes["rows"],
            goes["total"],
            states,
            giver=str(sent.get("from_name"))[:40],
            taker=str(sent.get("to_name"))[:40],
        )

    def done(self, t: Catalogue, sent: Mapping[str, Any]) -> Any:
        """Hand everything over, and say how much."""
        who = current.get()
        assert who is not None
        try:
            moved = self._cases.handover(
                _id(sent.get("from")), _id(sent.get("to")), str(sent.get("reason") or "")[:200].strip(), principal=who
            )
        except OnemapError as e:
            return queue.refused(e.message, e.next_step)
        return leaving.done(t, moved, taker=str(sent.get("to_name"))[:40])


def _id(value: Any) -> int:
    return int(value) if str(value).isdecimal() and len(str(value)) <= 15 else 0
