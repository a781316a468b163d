"""What people read on the pages: one catalogue a language, Chinese first; every visible string comes through here."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from gis.errors import DefinitionError

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
FOLDER = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Catalogue:
    """The words of one language.

    Attributes
    ----------
    language : {'zh', 'en'}
    words : mapping of dotted key to text with ``{named}`` gaps
    """

    language: Language
    words: Mapping[str, str]

    def __call__(self, key: str, /, **values: object) -> str:
        """Return the text of `key`, its gaps filled.

        Raises
        ------
        DefinitionError
            When the catalogue has no such key: a missing word is a fault of ours, not something to show.
        """
        try:
            return self.words[key].format(**values)
        except KeyError as e:
            raise DefinitionError(f"文字表 {self.language}.toml 缺少 {key}（{e}）。", next_step="补上这一条。") from e

    def under(self, prefix: str) -> dict[str, str]:
        """Return every text whose key starts with ``<prefix>.``, the prefix cut off."""
        return {k.removeprefix(prefix + "."): v for k, v in self.words.items() if k.startswith(prefix + ".")}


def _flatten(tree: Mapping[str, object], *, prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, prefix=f"{prefix}{key}.")
        else:
            flat[prefix + key] = str(value)
    return flat


@cache
def catalogue(language: Language) -> Catalogue:
    """Read ``<language>.toml`` once per process."""
    text = (FOLDER / f"{language}.toml").read_text(encoding="utf-8")
    return Catalogue(language, _flatten(tomllib.loads(text)))


def language_of(asked: str | None) -> Language:
    """Return the language asked for, Chinese when it is none of ours."""
    return "en" if asked == "en" else "zh"
