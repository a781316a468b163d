"""Names as people say them: 陈庄村委会 → 陈庄; a grid without the village it lies in. The official name stays in the store."""

from __future__ import annotations

import re

# 统计用区划 lists villages by their committee; longest first. Source: 国家统计局 统计用区划代码.
_COMMITTEE = re.compile(r"(社区居民委员会|村民委员会|居民委员会|社区居委会|村委会|居委会)$")
_GRID = re.compile(r"第[0-9一二三四五六七八九十百]+网格$")


def short_name(name: str, *, level: int) -> str:
    """Return the name without what its level says anyway; never empty.

    Parameters
    ----------
    level : int
        1 县 2 乡镇 3 村 4 网格.
    """
    if level == 3:
        return _COMMITTEE.sub("", name) or name
    if level == 4 and (found := _GRID.search(name)):
        return found.group()
    return name
