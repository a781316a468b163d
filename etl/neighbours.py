"""四至 on their way in: neighbours' names are masked, the words for land stay. What was masked is kept nowhere."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

from gis.access.masking import STAR, mask_name
from gis.errors import DefinitionError

_LETTERS = re.compile(r"[^\W\d_]+")
_WORDS, _SURNAMES = "codelists/ground_word.csv", "codelists/surname.csv"
_LATIN = 2  # letters of a road's or a pole's number; more of them spell a name


@dataclass(frozen=True)
class Neighbours:
    """Masks what a side of a parcel says of people.

    Whether text is a name cannot be known, whether it is words for land can: what these do not explain is taken for a
    name. So a rare surname is masked too, and now and then a place of which the list knows nothing.

    Attributes
    ----------
    ground, owner, place : frozenset of str
        Words for land (and 村民, which names nobody); words after a name that say whose (承包地, 家); endings that make a
        place of what stands before.
    surnames : frozenset of str
        Surnames that are words for land as well (田, 林, 路) explain nothing at the head of a text.
    """

    ground: frozenset[str]
    owner: frozenset[str]
    place: frozenset[str]
    surnames: frozenset[str]
    _seen: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def load(cls, data: Path) -> Neighbours:
        """Read data/codelists/ground_word.csv and surname.csv.

        Raises
        ------
        DefinitionError
            When one cannot be read or names an unknown kind of word.
        """
        kinds: dict[str, set[str]] = {"ground": set(), "owner": set(), "place": set()}
        try:
            with (data / _WORDS).open(encoding="utf-8", newline="") as f:
                for row in csv.DictReader(f):
                    kinds[row["kind"]].add(row["word"])
            with (data / _SURNAMES).open(encoding="utf-8", newline="") as f:
                surnames = frozenset(row["surname"] for row in csv.DictReader(f))
        except (OSError, KeyError, UnicodeDecodeError) as e:
            raise DefinitionError(f"data/{_WORDS} 或 data/{_SURNAMES} 读不出来：{e}") from e
        return cls(
            frozenset(kinds["ground"]), frozenset(kinds["owner"]), frozenset(kinds["place"]), surnames
        )  # fmt: skip

    def masked(self, text: str | None) -> str | None:
        """One side as it may be kept: 张小明 → 张*明, 张三承包地 → 张*承包地; 机耕路, 李家庄 and what is masked already stay."""
        if text is None or STAR in text:
            return text
        if text not in self._seen:
            self._seen[text] = _LETTERS.sub(lambda run: self._run(run[0]), text)
        return self._seen[text]

    def without(self, text: str | None, name: str | None) -> str | None:
        """A parcel's own name without its holder's: 张小明东地 → 张*明东地. Other people's names in it are not looked for."""
        if text is None or name is None or len(name) < 2:
            return text
        return text.replace(name, mask_name(name) or "")

    def _run(self, run: str) -> str:
        if len(run) == 1 or self._is_land(run) or self._is_place(run):
            return run
        if run.isascii():
            return run if len(run) <= _LATIN else mask_name(run) or run
        # A word before and words after, as long as a name's two characters are left: 村民张三承包地.
        head = next((run[:n] for n in range(len(run) - 2, 1, -1) if run[:n] in self.ground), "")
        core = run[len(head) :]
        while end := next((core[n:] for n in range(2, len(core)) if core[n:] in self.owner), ""):
            core = core[: -len(end)]
        return head + (mask_name(core) or "") + run[len(head) + len(core) :]

    def _is_place(self, run: str) -> bool:
        if any((run.endswith(p) and len(run) > len(p)) or run == p for p in self.place):
            return True
        # 王家沟 is a place; 王家 is somebody's.
        return len(run) > 2 and run[1] == "家" and run[0] in self.surnames and self._is_land(run[2:])

    def _is_land(self, run: str) -> bool:
        """Whether words for land make up all of it; one character that is also a surname does not begin it."""
        made = {len(run)}  # from where on the rest is made of words
        for at in range(len(run) - 1, -1, -1):
            for end in range(at + 1, len(run) + 1):
                word = run[at:end]
                surname = at == 0 and end == 1 < len(run) and word in self.surnames
                if end in made and word in self.ground and not surname:
                    made.add(at)
                    break
        return 0 in made
