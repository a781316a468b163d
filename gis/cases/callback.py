"""Independent call-backs (独立回访): a sample of closed cases is looked at again by somebody who has no stake in them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gis.cases.change import Change, Desk


def choose(desk: Desk, change: Change) -> dict[str, Any] | None:
    """The call-back of a case that closes, when it is drawn and there is somebody of another grid to ask."""
    sampling, case = change.process.callback, change.case
    if (
        sampling is None
        or not drawn(case["case_id"], case["reopened"], share=sampling.share)
        or case["township_code"] is None
    ):
        return None
    involved = [i for i in (case["assignee_id"], case["reporter_id"], change.account_id) if i is not None]
    found = desk.conn.execute(
        desk.sql["callback_candidate"],
        {"grid": case["grid_code"], "village": case["village_code"], "township": case["township_code"], "without": involved},
    ).fetchone()  # fmt: skip
    if found is None or found["account_id"] is None:
        return None
    return {"case_id": case["case_id"], "handler_id": case["assignee_id"], "asked_id": found["account_id"]}


def drawn(case_id: int, times: int, *, share: float) -> bool:
    """Whether a case falls into the sample: its number decides, so nobody can close and reopen until it does not."""
    digest = hashlib.sha256(f"callback:{case_id}:{times}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share
