"""Item suggestion (事项建议): which item a report is probably about, from its words alone; shown, never applied.

A linear model over character n-grams, trained by `gis.cases.suggest_training` on the county's own history and kept as plain
arrays. Read and applied with NumPy: the web needs no machine-learning library, and a model file can hold no code.
"""

from __future__ import annotations

import json
import threading
import tomllib
import unicodedata
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from gis.codelists import name_of
from gis.errors import DefinitionError, SetupProblem
from gis.settings import Settings

NGRAMS = (1, 2, 3)
_FILE = "rules/suggestion.toml"
_LONGEST = 500  # characters read of a text; a report's point is in its first lines


class SuggestionRules(BaseModel):
    """data/rules/suggestion.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shortest_text: int
    least_share: float
    most: int
    held_out_days: int
    most_rows: int
    least_rows: int
    least_per_item: int

    @classmethod
    def load(cls, data: Path) -> SuggestionRules:
        """Read and check.

        Raises
        ------
        DefinitionError
            When a value is missing, has no unit or source, or is not a number.
        """
        try:
            table = tomllib.loads((data / _FILE).read_text(encoding="utf-8"))["suggestion"]
            if any(not e["unit"] or not e["source"] for e in table.values()):
                raise DefinitionError(f"{_FILE} 有的值没有单位或出处。", next_step="补上 unit 和 source。")
            return cls.model_validate({name: entry["value"] for name, entry in table.items()})
        except (OSError, KeyError, TypeError, ValueError) as e:
            raise DefinitionError(f"{_FILE} 读不了：{e}", next_step="改正后运行 ./onemap check。") from e


@dataclass(frozen=True)
class Suggestion:
    """One item it may be.

    Attributes
    ----------
    share : calibrated probability, 0–1.
    because : the words of the text that spoke for it, strongest first.
    """

    code: str
    name: str
    share: float
    because: tuple[str, ...]
    made_from: str = "text"


@dataclass(frozen=True)
class Model:
    """A trained model.

    Attributes
    ----------
    items : (k,) item codes.
    vocabulary : n-gram → column.
    idf : (n,) inverse document frequencies.
    weights : (k, n) and bias (k,): logits before the temperature.
    temperature : calibration on held-out wording; above 1 makes it less sure.
    card : what it was trained on and how well it does (docs: model card).
    """

    items: tuple[str, ...]
    vocabulary: dict[str, int]
    idf: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: float
    card: dict[str, Any]

    def shares(self, text: str) -> tuple[NDArray[np.float64], dict[str, float]]:
        """Return (k,) probabilities, and the tf-idf weight of each known n-gram of the text."""
        found = Counter(g for g in ngrams(normal(text)) if g in self.vocabulary)
        if not found:
            return np.full(len(self.items), 1 / len(self.items)), {}
        columns = np.array([self.vocabulary[g] for g in found])
        values = (1 + np.log(np.array(list(found.values()), dtype=np.float64))) * self.idf[columns]
        values /= np.linalg.norm(values)
        logits = (self.weights[:, columns] @ values + self.bias) / self.temperature
        odds = np.exp(logits - logits.max())
        return odds / odds.sum(), dict(zip(found, values, strict=True))


def normal(text: str) -> str:
    """The text as the model reads it: full-width forms folded, digits and blanks dropped, lower case."""
    folded = unicodedata.normalize("NFKC", text)[:_LONGEST].lower()
    return "".join(c for c in folded if not c.isspace() and not c.isdigit() and unicodedata.category(c)[0] not in "PSC")


def ngrams(text: str) -> list[str]:
    """Character n-grams of `NGRAMS` lengths: Chinese has no blanks to split words at, and none are needed."""
    return [text[i : i + n] for n in NGRAMS for i in range(len(text) - n + 1)]


def model_file(settings: Settings) -> Path:
    """``var/models/item-<database>.npz``: a county's model knows its words, another county's does not."""
    return settings.var / "models" / f"item-{settings.db_name}.npz"


def write_model(model: Model, path: Path) -> None:
    """Write all at once: a reader meets the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new.npz")
    about = {
        "items": model.items,
        "vocabulary": list(model.vocabulary),
        "temperature": model.temperature,
        "card": model.card,
    }
    np.savez_compressed(
        new, idf=model.idf, weights=model.weights, bias=model.bias,
        about=np.frombuffer(json.dumps(about, ensure_ascii=False).encode(), dtype=np.uint8),
    )  # fmt: skip
    new.replace(path)


def read_model(path: Path) -> Model:
    """Read what `write_model` wrote.

    Raises
    ------
    SetupProblem
        When it is damaged.
    """
    try:
        # Opened here: NumPy leaves a file it cannot read open.
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as f:
            about = json.loads(bytes(f["about"]))
            idf, weights, bias = f["idf"], f["weights"], f["bias"]
        vocabulary = {g: n for n, g in enumerate(about["vocabulary"])}
        if weights.shape != (len(about["items"]), len(vocabulary)) or idf.shape != (len(vocabulary),):
            raise ValueError("shapes differ")
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as e:
        raise SetupProblem(
            f"事项建议的模型文件坏了：{path.name}（{e}）。", next_step="重新训练：./onemap process train"
        ) from e
    return Model(tuple(about["items"]), vocabulary, idf, weights, bias, float(about["temperature"]), about["card"])


class Suggest:
    """Suggests items; silent while there is no model, for too few words, and when nothing stands out.

    Parameters
    ----------
    settings : Settings
        Where the model file is; it is read at the first question and again when it was replaced.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = model_file(settings)
        self._rules = SuggestionRules.load(settings.data)
        self._lock = threading.Lock()
        self._model: Model | None = None
        self._stamp = 0

    def __call__(self, text: str) -> list[Suggestion]:
        """Return at most the rules' number of suggestions, most probable first."""
        model = self._current()
        if model is None or len(normal(text)) < self._rules.shortest_text:
            return []
        shares, found = model.shares(text)
        best = np.argsort(-shares)[: self._rules.most]
        if not found or shares[best[0]] < self._rules.least_share:
            return []
        made = [
            Suggestion(code, name_of("incident_item", code) or code, float(shares[k]), because)
            for k in best.tolist()
            if (because := _because(model, k, found)) and (code := model.items[k])
        ]
        # A guess that cannot say from which words it was made is not shown, nor what follows it.
        return made if made and made[0].code == model.items[best[0]] else []

    def _current(self) -> Model | None:
        try:
            stamp = self._path.stat().st_mtime_ns
        except OSError:
            return None
        with self._lock:
            if stamp != self._stamp:
                self._model, self._stamp = read_model(self._path), stamp
            return self._model


def _because(model: Model, k: int, found: dict[str, float], *, most: int = 3) -> tuple[str, ...]:
    """The longest pieces of the text that spoke most for item `k`; a piece inside a stronger one is not repeated."""
    spoke = {g: float(model.weights[k, model.vocabulary[g]]) * v * len(g) for g, v in found.items() if len(g) > 1}
    chosen: list[str] = []
    for gram in sorted(spoke, key=lambda g: -spoke[g]):
        if spoke[gram] <= 0 or len(chosen) == most:
            break
        if not any(gram in c or c in gram for c in chosen):
            chosen.append(gram)
    return tuple(chosen)
