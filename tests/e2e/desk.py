"""The desk in a real browser: pages of a served county, opened as one of its people, waited for until they are drawn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

from gis.settings import ROOT, Settings
from tests.e2e.browser import Watched, watched
from tests.e2e.phone import Phones
from tests.process_files import SUBSIDY


class Elsewhere(Settings):
    """Settings whose data folder is a test's own."""

    folder: Path

    @property
    def data(self) -> Path:
        """Knowledge that is not code, with one process more."""
        return self.folder


def with_subsidy(settings: Settings, folder: Path) -> Settings:
    """Settings of a data folder into which one more process was dropped."""
    data = folder / "data"
    shutil.copytree(ROOT / "data", data)
    (data / "processes" / "subsidy.toml").write_text(SUBSIDY, encoding="utf-8")
    return Elsewhere(**settings.model_dump(), folder=data)


class Desk(Watched):
    """A page of the desk."""

    def open(self, path: str) -> None:
        """Go to an address and wait for its list or its card."""
        self.page.goto(self.base + path)
        self.drawn()

    def drawn(self) -> None:
        """Wait until everything asked for has come."""
        self.page.wait_for_function(
            """() => { const d = window.onemap && onemap.desk, e = document.documentElement; if (!d || !document.getElementById('desk') || e.hasAttribute('data-busy')) return false;
            if (['handover'].includes(d.kind())) return true;
            if (!d.seq) return false;
            if (d.open && d.shownSeq === 0) return false; return d.kind() !== 'queue' || d.answered > 0; }"""
        )
        self.page.wait_for_timeout(120)  # React draws what has come
        self.page.wait_for_function("() => !document.documentElement.hasAttribute('data-busy')")

    @property
    def numbers(self) -> list[str]:
        """Case numbers of the table, in its order."""
        return [row["no"] for row in self.page.evaluate("onemap.desk.rows()")]

    def show(self, case_no: str) -> None:
        """Open a case in the drawer."""
        self.page.evaluate("no => onemap.desk.show(no)", case_no)
        expect(self.page.locator(f"#desk-card [data-no='{case_no}']")).to_be_visible()

    def take(self, step: str) -> Any:
        """Press the button of a step; returns its dialog."""
        button = self.page.locator(f".case-actions [data-take='{step}']")
        if not button.first.is_visible():
            self.page.locator(".case-actions summary").click()
        button.first.click()
        dialog = self.page.locator(f".dialog[data-step='{step}']")
        expect(dialog).to_be_visible()
        return dialog

    def toast(self) -> Any:
        """What is said at the top."""
        return self.page.locator("#toast.shown")


@contextmanager
def desk(browser: Browser, phones: Phones, who: str, path: str = "/desk", **options: Any) -> Iterator[Desk]:
    """Open a page of the desk as somebody."""
    with watched(browser, phones.base, session=phones.cookie(who), **options) as seen:
        page = Desk(seen.page, seen.base, seen.console, seen.foreign, seen.failed)
        page.open(path)
        yield page
