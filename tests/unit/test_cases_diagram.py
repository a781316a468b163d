"""A process is drawn whole, and where nothing can draw, that is said."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET

import pytest

from gis.cases import diagram
from gis.cases.catalogue import Processes
from gis.errors import SetupProblem
from gis.settings import ROOT

PROCESSES = Processes.load(ROOT / "data")
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Debian's graphviz")


@pytest.mark.parametrize("name", ["incident", "task"])
def test_every_state_and_every_way_between_states_is_there(name: str) -> None:
    process = PROCESSES.current(name)
    text = diagram.dot_text(process)
    for state in process.state:
        assert f'"{state.id}" [label="{state.name}' in text
    for t in process.transition:
        assert (t.name in text) == any(t.to and t.to != s for s in t.source), t.id
    assert text.count("peripheries=2") == sum(s.ends for s in process.state)


@needs_dot
@pytest.mark.parametrize("name", ["incident", "task"])
def test_the_picture_is_sound_alone_and_asks_nobody(name: str) -> None:
    process = PROCESSES.current(name)
    drawing = diagram.svg(process)
    root = ET.fromstring(drawing)
    assert root.tag.endswith("svg")
    words = "".join(root.itertext())
    assert all(s.name in words for s in process.state)
    assert not re.search(r"<!DOCTYPE|<\?xml|<script|(?:href|src)=\"(?:https?:)?//", drawing)
    assert "Noto Sans CJK SC" in drawing


@needs_dot
def test_names_with_marks_of_the_language_do_no_harm() -> None:
    process = PROCESSES.current("task")
    odd = process.model_copy(
        update={"state": [s.model_copy(update={"name": 'a"];b -> c[label="<script>\\n&'}) for s in process.state]}
    )
    drawing = diagram.svg(odd)
    assert "<script>" not in drawing
    assert len(ET.fromstring(drawing).findall(".//*[@class='node']")) == len(process.state) + 1 + 1  # start, one note


def test_without_graphviz_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    diagram._drawn.cache_clear()
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(SetupProblem, match="没有安装画流程图的 Graphviz") as e:
        diagram.svg(PROCESSES.current("task"))
    assert "apt-get install graphviz" in e.value.next_step
