"""Code lists and shapes of the demo county, read from data/: CSV rows and TOML tables, with a clear fault."""

from __future__ import annotations

import csv
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gis.errors import DefinitionError
from gis.settings import ROOT


@cache
def code_list(name: str, *, folder: Path = ROOT / "data" / "codelists") -> tuple[dict[str, str], ...]:
    """Rows of ``data/codelists/<name>.csv``.

    Raises
    ------
    DefinitionError
        The file is missing, or a row has more or fewer fields than the header.
    """
    path = folder / f"{name}.csv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError) as e:
        raise DefinitionError(f"代码表 {path.name} 读不了：{e}", next_step="恢复该文件后重试。") from e
    bad = [i + 2 for i, row in enumerate(rows) if None in row or None in row.values()]
    if bad or not rows:
        raise DefinitionError(f"代码表 {path.name} 有问题：第 {bad or '1'} 行字段数不对。", next_step="改正后重试。")
    return tuple(rows)


@cache
def shape(name: str, *, folder: Path = ROOT / "data" / "demo") -> dict[str, Any]:
    """``data/demo/<name>.toml``: how the demo county behaves (示例).

    Raises
    ------
    DefinitionError
        The file is missing or no TOML.
    """
    path = folder / f"{name}.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise DefinitionError(f"示例形状 {path.name} 读不了：{e}", next_step="恢复该文件后重试。") from e


def draw(rng: np.random.Generator, weights: dict[str, float], n: int) -> NDArray[np.object_]:
    """Draw `n` keys by weight; shape (n,)."""
    p = np.array(list(weights.values()), dtype=float)
    return np.array(list(weights), dtype=object)[rng.choice(len(p), size=n, p=p / p.sum())]


def only_where(condition: NDArray[np.bool_], values: NDArray[Any]) -> NDArray[np.object_]:
    """Values where the condition holds, None (无数据) elsewhere; shape (n,)."""
    out: NDArray[np.object_] = np.full(len(condition), None, dtype=object)
    out[condition] = values[condition]
    return out


def ranks(group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each row within its group, 0-based, in the order of rows; shape (n,)."""
    order = np.argsort(group, kind="stable")
    ordered = group[order]
    new = np.r_[True, ordered[1:] != ordered[:-1]] if len(group) else np.zeros(0, dtype=bool)
    start = np.maximum.accumulate(np.where(new, np.arange(len(group)), 0))
    out = np.empty(len(group), dtype=np.int64)
    out[order] = np.arange(len(group)) - start
    return out
