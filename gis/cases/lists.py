"""Code lists a process may choose from: data/codelists/*.csv of one data folder, names by code."""

from __future__ import annotations

import csv
from pathlib import Path

from gis.errors import DefinitionError


class Lists:
    """The code lists of a data folder, read when first asked for."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "codelists"
        self._read: dict[str, dict[str, dict[str, str]]] = {}

    def has(self, name: str) -> bool:
        """Whether there is such a list."""
        return (self._folder / f"{name}.csv").is_file()

    def rows(self, name: str) -> dict[str, dict[str, str]]:
        """Rows by their first column, in the file's order; `DefinitionError` when there is no such list."""
        if name not in self._read:
            try:
                with (self._folder / f"{name}.csv").open(encoding="utf-8", newline="") as f:
                    rows = list(csv.DictReader(f))
            except OSError as e:
                raise DefinitionError(f"缺少代码表 {name}.csv。", next_step="还原 data/codelists/ 下的文件。") from e
            self._read[name] = {next(iter(row.values())): {k: v or "" for k, v in row.items()} for row in rows}
        return self._read[name]

    def names(self, name: str) -> dict[str, str]:
        """Names by code."""
        return {code: row.get("name") or code for code, row in self.rows(name).items()}
