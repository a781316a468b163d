"""Receipts: the tree, the code, and a check written apart from the program's own."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gis.access.receipt import Receipt, Slip, Step, code_of, leaf, month_bounds, node, path_of, root_of, tree
from gis.access.receipt_page import board_page, check_page, slip_text
from gis.clock import ZONE
from gis.errors import BadRequest
from gis.settings import ROOT


def mth(leaves: list[bytes]) -> bytes:
    """Merkle tree hash as RFC 6962 2.1 defines it, by recursion (of leaves already hashed)."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


@given(st.integers(1, 70))
def test_the_tree_is_that_of_rfc_6962_and_every_path_leads_to_its_top(n: int) -> None:
    leaves = [hashlib.sha256(bytes([i])).digest() for i in range(n)]
    levels = tree(leaves)
    assert levels[-1] == [mth(leaves)]
    for i, at in enumerate(leaves):
        for step in path_of(levels, i):
            at = node(step.hash, at) if step.side == "left" else node(at, step.hash)
        assert at == levels[-1][0]


def test_a_leaf_is_bound_to_every_public_field_and_to_the_row() -> None:
    public: list[str | None] = ["7", "2026-10-05 09:00:00", "reveal", "person", "12"]
    made = leaf(public, b"h" * 32)
    by_hand = b"|".join(f"{len(f)}:{f}".encode() for f in public if f)
    assert made == hashlib.sha256(b"\0" + hashlib.sha256(by_hand).digest() + b"h" * 32).digest()
    others = [[*public[:i], "x", *public[i + 1 :]] for i in range(5)] + [
        [*public[:3], None, "12"],
        [*public[:3], "", "12"],
    ]
    assert len({made, *(leaf(o, b"h" * 32) for o in others), leaf(public, b"i" * 32)}) == 9


def test_the_code_is_crockfords_base32_of_the_first_hundred_bits() -> None:
    assert code_of(bytes(32)) == "0000-0000-0000-0000-0000"
    assert code_of(b"\xff" * 32) == "ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ"
    root = hashlib.sha256(b"x").digest()
    bits = "".join(f"{b:08b}" for b in root)[:100]
    by_hand = "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[int(bits[i : i + 5], 2)] for i in range(0, 100, 5))
    assert code_of(root).replace("-", "") == by_hand


def test_the_root_is_bound_to_county_month_and_number() -> None:
    base = {"month": "2026-10", "county": "130529", "rows": 5}
    roots = {
        root_of(b"t" * 32, **(base | change))
        for change in ({}, {"month": "2026-11"}, {"county": "130530"}, {"rows": 6})
    }  # type: ignore[arg-type]
    assert len(roots) == 4


def test_a_month_is_the_countys_month() -> None:
    since, until = month_bounds("2026-12")
    assert (since, until) == (datetime(2026, 12, 1, tzinfo=ZONE), datetime(2027, 1, 1, tzinfo=ZONE))
    assert since.isoformat() == "2026-12-01T00:00:00+08:00"
    for wrong in ("2026", "2026-13", "10-2026", "2026-10-01", ""):
        with pytest.raises(BadRequest, match="月份"):
            month_bounds(wrong)


SLIP = Slip(
    "2026-10",
    "130529",
    2,
    ["1", "2026-10-05 09:00:00", "reveal", "person", "<b>7</b>"],
    b"h" * 32,
    [Step("right", b"s" * 32)],
    "X",
)


def test_the_check_page_needs_no_network_and_holds_no_code() -> None:
    page = check_page(ROOT / "data", SLIP)
    assert "http" not in page.replace("http-equiv", "")
    assert "src=" not in page
    assert "default-src 'none'" in page
    assert "{{" not in page
    assert "<b>7</b>" not in page  # what a slip holds is text, never markup
    assert json.loads(slip_text(SLIP))["row_hash"] == (b"h" * 32).hex()
    assert '"code"' not in slip_text(SLIP)


def test_the_board_says_when_a_month_is_not_over() -> None:
    made = Receipt("2026-10", "130529", 2, 1, 2, b"r" * 32, complete=False)
    moment = datetime(2026, 10, 20, 8, tzinfo=ZONE)
    page = board_page(ROOT / "data", made, printed=moment)
    assert made.code in page
    assert "不要张贴" in page
    done = board_page(ROOT / "data", Receipt("2026-10", "130529", 2, 1, 2, b"r" * 32, complete=True), printed=moment)
    assert "不要张贴" not in done
    assert "{{" not in done
