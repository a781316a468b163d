"""A process as a picture: Graphviz DOT, and SVG by the program `dot`. Quiet: colour says what the clock does, nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import lru_cache

from gis.cases.definition import Process, State, Transition
from gis.errors import SetupProblem

FONT = "Noto Sans CJK SC"
# docs LOOK.md: text, line, accent, at-risk; the clock's state by outline, never by colour alone.
_TEXT, _QUIET, _LINE, _ACCENT, _PAUSED, _DANGER = "#17211E", "#63706B", "#BFC8C2", "#14508C", "#A86000", "#93130F"
_CLOCKS = {"waits": "未计时", "runs": "计时", "paused": "停表", "stopped": "已停表"}
_MOST_S = 20.0
_MANY = 3  # sources from which on a step is one arrow


def dot_text(process: Process) -> str:
    """Return the picture as DOT: one arrow for all steps between two states.

    Steps that stay where they are (催办, 补充说明) are left to the table, and a step that starts from many states is one arrow
    from its own name: as arrows they would hide the way.
    """
    lines = [
        f"digraph {_quoted(process.process)} {{",
        '  graph [rankdir=LR, bgcolor="transparent", nodesep=0.25, ranksep=0.5, splines=spline, pad=0.2, newrank=true];',
        f'  node [shape=box, style="rounded,filled", fillcolor="#FFFFFF", color="{_LINE}", fontname="{FONT}", fontsize=18, '
        f'fontcolor="{_TEXT}", margin="0.16,0.09", penwidth=1.2];',
        f'  edge [fontname="{FONT}", fontsize=15, fontcolor="{_QUIET}", color="#8A9691", arrowsize=0.6, penwidth=1.0];',
        f'  start [shape=circle, label="", width=0.16, style=filled, fillcolor="{_TEXT}", color="{_TEXT}", tooltip="新办件"];',
    ]
    lines += [f"  {_state(s)}" for s in process.state]
    lines.append(f"  start -> {_quoted(process.initial)};")
    lines += [f"  {edge}" for edge in _edges(process)]
    return "\n".join([*lines, "}", ""])


def svg(process: Process) -> str:
    """Return the picture as SVG.

    Raises
    ------
    SetupProblem
        When Graphviz is not installed, or fails.
    """
    return _drawn(dot_text(process))


@lru_cache(maxsize=32)
def _drawn(text: str) -> str:
    program = shutil.which("dot")
    if program is None:
        raise SetupProblem(
            "这台机器没有安装画流程图的 Graphviz，图画不出来，其余不受影响。",
            next_step="请系统管理员安装：apt-get install graphviz。",
        )
    try:
        done = subprocess.run([program, "-Tsvg"], input=text.encode(), capture_output=True, timeout=_MOST_S, check=True)
    except (subprocess.SubprocessError, OSError) as e:
        raise SetupProblem("流程图没有画成。", next_step="运行 ./onemap process show 名称 --dot 查看原稿。") from e
    drawing = done.stdout.decode()
    # The declaration names a DTD elsewhere on the net; nobody must fetch it.
    drawing = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->", "", drawing, flags=re.DOTALL).strip()
    return drawing.replace(f'font-family="{FONT}"', f'font-family="{FONT}, Noto Sans SC, sans-serif"')


def _state(state: State) -> str:
    clock = _CLOCKS[state.clock]
    outline = {"runs": f'color="{_ACCENT}"', "paused": f'color="{_PAUSED}", style="rounded,filled,dashed"'}
    look = "peripheries=2" if state.ends else outline.get(state.clock, f'color="{_LINE}"')
    label = f"{state.name}\\n{clock}" if not state.ends else state.name
    return f"{_quoted(state.id)} [label={_quoted(label, escaped=True)}, tooltip={_quoted(state.public_name)}, {look}];"


def _edges(process: Process) -> list[str]:
    order = {s.id: n for n, s in enumerate(process.state)}
    names = {s.id: s.name for s in process.state}
    between: dict[tuple[str, str], list[Transition]] = {}
    many: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for t in process.transition:
        sources = tuple(s for s in t.source if t.to is not None and s != t.to)
        if t.to is not None and len(sources) >= _MANY:
            many.setdefault((t.to, sources), []).append(t.name)
        else:
            for source in sources:
                between.setdefault((source, t.to or ""), []).append(t)
    out = []
    for n, ((to, sources), steps) in enumerate(many.items()):
        label = "\\n".join([*map(_escape, steps), *_folded([_escape(names[s]) for s in sources])])
        out.append(f'many{n} [label="{label}", shape=plaintext, style="", fontsize=15, fontcolor="{_QUIET}"];')
        out.append(f"many{n} -> {_quoted(to)} [style=dotted];")
        if all(order[s] < order[to] for s in sources):  # keeps it to the right of where it comes from
            out.append(f"{_quoted(sources[0])} -> many{n} [style=invis];")
    return [
        *out,
        *(_edge(source, to, taken, back=order[to] < order[source]) for (source, to), taken in between.items()),
    ]


def _folded(names: list[str]) -> list[str]:
    """从 A、B、C, three to a line."""
    lines = ["、".join(names[i : i + 3]) for i in range(0, len(names), 3)]
    return ["从 " + lines[0], *lines[1:]]


def _edge(source: str, to: str, taken: list[Transition], *, back: bool) -> str:
    label = "\\n".join(_escape(t.name) for t in taken)
    look = [f'label="{label}"']
    if back:
        look.append("constraint=false")  # the way back must not bend the way on
    if all(w.relation == "system" for t in taken for w in t.who):
        look.append('style="dashed"')
    if any(t.tone == "main" for t in taken):
        look.append(f'color="{_ACCENT}", fontcolor="{_ACCENT}", penwidth=1.8, weight={1 if back else 12}')
    elif all(t.tone == "danger" for t in taken):
        look.append(f'color="{_DANGER}", fontcolor="{_DANGER}"')
    return f"{_quoted(source)} -> {_quoted(to)} [{', '.join(look)}];"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _quoted(text: str, *, escaped: bool = False) -> str:
    """A DOT string; `escaped`: the text holds DOT's own line breaks."""
    if escaped:
        return '"' + text.replace('"', '\\"') + '"'
    return '"' + _escape(text) + '"'
