"""Named queries: sql/queries/SUBJECT.sql holds blocks that start with ``-- name --``; values are bound, never pasted."""

from __future__ import annotations

import re
from functools import cache
from typing import LiteralString, cast

from gis.errors import DefinitionError
from gis.settings import ROOT

_HEADER = re.compile(r"^-- ([a-z][a-z0-9_]*) --$", re.MULTILINE)


@cache
def load_queries(subject: str) -> dict[str, LiteralString]:
    """Return the queries of one file by name.

    Parameters
    ----------
    subject : str
        File name in ``sql/queries/`` without ``.sql``.

    Raises
    ------
    DefinitionError
        When the file is missing, holds no block, or names one twice.
    """
    path = ROOT / "sql" / "queries" / f"{subject}.sql"
    if not path.exists():
        raise DefinitionError(f"没有查询文件 sql/queries/{subject}.sql。")
    # split: text before the first header, then name, body, name, body ...
    _, *parts = _HEADER.split(path.read_text(encoding="utf-8"))
    names, bodies = parts[::2], parts[1::2]
    if not names or len(set(names)) != len(names):
        raise DefinitionError(f"sql/queries/{subject}.sql 里没有查询，或有重名的查询。")
    # The text comes from our own repository, which is what LiteralString stands for.
    return {name: cast("LiteralString", body.strip()) for name, body in zip(names, bodies, strict=True)}
