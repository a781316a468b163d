"""Training of the item suggestion on the county's own history, with figures on held-out months and held-out wording."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection

from gis.cases.suggest import NGRAMS, Model, SuggestionRules, normal
from gis.clock import now
from gis.codelists import codelist
from gis.errors import BadInput
from gis.settings import ROOT
from gis.store.queries import load_queries

_FOLDS = 5


@dataclass(frozen=True)
class Example:
    """One past case.

    Attributes
    ----------
    text : its words without names of places; item: what it was classified as.
    late : of the held-out months.
    wording : what is held out together; the template where the text was generated (合成), else the text itself.
    """

    text: str
    item: str
    late: bool
    wording: str


def read_examples(conn: Connection[Any], *, rules: SuggestionRules) -> list[Example]:
    """Read classified incidents of the store, newest `most_rows`, names of divisions cut out (they would be learnt by heart)."""
    queries = load_queries("suggest")
    names = sorted({r[0] for r in conn.execute(queries["place_names"]).fetchall()}, key=len, reverse=True)
    place = re.compile("|".join(map(re.escape, names))) if names else None
    rows = conn.execute(queries["history"], {"most": rules.most_rows}).fetchall()
    if not rows:
        return []
    border = max(r[2] for r in rows) - timedelta(days=rules.held_out_days)
    template = _templates()
    made = []
    for words, item, at, synthetic in rows:
        text = normal(place.sub("", words) if place else words)
        known = next((p for p, shape in template.get(item, ()) if shape.fullmatch(words)), None) if synthetic else None
        made.append(Example(text, item, at >= border, known or text))
    return made


def keyword_examples() -> list[Example]:
    """data/codelists/incident_word.csv: words that name an item, for wording the history has not seen yet."""
    return [
        Example(normal(word), item, False, f"{item} {word}")
        for item, entry in codelist("incident_word").items()
        for word in entry["words"].split()
    ]


def _templates() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """Templates the demo's titles were made from, by item: without them a held-out sentence is one seen before."""
    path = ROOT / "data" / "codelists" / "incident_phrase.csv"
    made: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    with path.open(encoding="utf-8", newline="") as f:
        for row in csv.DictReader(f):
            shape = re.escape(row["phrase"]).replace(r"\{v\}", ".+").replace(r"\{d\}", ".*")
            made.setdefault(row["item_code"], []).append((row["phrase"], re.compile(shape)))
    return made


def train(examples: Sequence[Example], *, rules: SuggestionRules, taught: Sequence[Example] = ()) -> Model:
    """Train, calibrate and measure.

    Parameters
    ----------
    taught : sequence of Example
        Keywords (`keyword_examples`): always learnt from, never measured on.

    Calibrated on wording it has not seen: the same sentence with another village's name tells nothing about a villager's
    own words.

    Raises
    ------
    BadInput
        When there are too few cases to learn from.
    """
    count: dict[str, int] = {}
    for e in examples:
        count[e.item] = count.get(e.item, 0) + 1
    kept = [e for e in examples if count[e.item] >= rules.least_per_item and e.text]
    items = sorted({e.item for e in kept})
    if len(kept) < rules.least_rows or len(items) < 2:
        raise BadInput(
            f"可学的历史办件只有 {len(kept)} 件，至少要 {rules.least_rows} 件、两个事项。",
            next_step="先导入历史办件，再训练。",
        )
    label = np.array([items.index(e.item) for e in kept])
    texts = [e.text for e in kept]
    late = np.array([e.late for e in kept])
    lesson = [e for e in taught if e.item in items]
    extra, extra_label = [e.text for e in lesson], np.array([items.index(e.item) for e in lesson], dtype=np.int64)

    def learn(rows: NDArray[np.int64]) -> Model:
        return _fit([texts[i] for i in rows] + extra, np.r_[label[rows], extra_label], items)

    wording = _groups([e.wording for e in kept])
    logits = np.zeros((len(kept), len(items)))
    for train_rows, test_rows in _folds(wording):
        logits[test_rows] = _logits(learn(train_rows), [texts[i] for i in test_rows])
    _, one_each = np.unique(wording, return_index=True)
    temperature = _temperature(logits[one_each], label[one_each])
    unseen = _accuracy(logits, label, per=wording)
    by_time = None
    if late.any() and not late.all():
        before, after = np.flatnonzero(~late), np.flatnonzero(late)
        by_time = _accuracy(_logits(learn(before), [texts[i] for i in after]), label[after])

    model = learn(np.arange(len(kept)))
    card = {
        "made_at": now().isoformat(timespec="seconds"), "rows": len(kept), "items": len(items), "wordings": int(wording.max() + 1),
        "held_out_days": rules.held_out_days, "by_time": by_time, "unseen_wording": unseen, "temperature": round(temperature, 3),
        "left_out": sorted(set(count) - set(items)),
    }  # fmt: skip
    return Model(model.items, model.vocabulary, model.idf, model.weights, model.bias, temperature, card)


def _fit(texts: Sequence[str], label: NDArray[np.int64], items: Sequence[str]) -> Model:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    distinct = _distinct(texts, label)
    words = TfidfVectorizer(
        analyzer="char", ngram_range=(NGRAMS[0], NGRAMS[-1]), sublinear_tf=True, lowercase=False, dtype=np.float64
    )
    table = words.fit_transform([t for t, _, _ in distinct])
    own = np.array([y for _, y, _ in distinct])
    # A sentence seen a thousand times is one wording, a little surer; its count must not drown the rare ones.
    weight = 1 + np.log(np.array([n for _, _, n in distinct], dtype=np.float64))
    # One thread: small matrices, and the other core serves people meanwhile.
    with threadpool_limits(1):
        fitted = LogisticRegression(C=10.0, max_iter=400, class_weight="balanced").fit(table, own, sample_weight=weight)
    weights = np.full((len(items), table.shape[1]), 0.0)
    bias = np.full(len(items), -20.0)  # an item without examples here is as good as impossible
    known = fitted.classes_
    if len(known) == 2:  # one row stands for both
        weights[known] = np.vstack([-fitted.coef_[0], fitted.coef_[0]]) / 2
        bias[known] = np.array([-fitted.intercept_[0], fitted.intercept_[0]]) / 2
    else:
        weights[known], bias[known] = fitted.coef_, fitted.intercept_
    columns = sorted(words.vocabulary_, key=lambda g: words.vocabulary_[g])
    return Model(
        tuple(items), {g: n for n, g in enumerate(columns)}, words.idf_.astype(np.float32), weights.astype(np.float32),
        bias.astype(np.float32), 1.0, {},
    )  # fmt: skip


def _distinct(texts: Sequence[str], label: NDArray[np.int64]) -> list[tuple[str, int, int]]:
    seen: dict[tuple[str, int], int] = {}
    for t, y in zip(texts, label.tolist(), strict=True):
        seen[t, y] = seen.get((t, y), 0) + 1
    return [(t, y, n) for (t, y), n in seen.items()]


def _logits(model: Model, texts: Sequence[str]) -> NDArray[np.float64]:
    known: dict[str, NDArray[np.float64]] = {}
    for text in set(texts):
        known[text] = np.log(np.maximum(model.shares(text)[0], 1e-12))
    return np.array([known[t] for t in texts])


def _groups(texts: Sequence[str]) -> NDArray[np.int64]:
    """(n,) a number for each distinct wording."""
    number: dict[str, int] = {}
    return np.array([number.setdefault(t, len(number)) for t in texts])


def _folds(group: NDArray[np.int64]) -> Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    # Wordings stand in order of first sight, so neighbours are unlike: every fifth one is a fair sample.
    for k in range(_FOLDS):
        test = group % _FOLDS == k
        if test.any() and not test.all():
            yield np.flatnonzero(~test), np.flatnonzero(test)


def _temperature(logits: NDArray[np.float64], label: NDArray[np.int64]) -> float:
    from scipy.optimize import minimize_scalar

    def loss(log_t: float) -> float:
        scaled = logits / np.exp(log_t)
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(label)), label]))

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 4), method="bounded").x))


def _accuracy(
    logits: NDArray[np.float64], label: NDArray[np.int64], *, per: NDArray[np.int64] | None = None
) -> dict[str, float | int]:
    """Top-1 and top-3; `per` wording: each distinct wording counts once, however often it was written."""
    order = np.argsort(-logits, axis=1)
    first, third = order[:, 0] == label, (order[:, :3] == label[:, None]).any(axis=1)
    if per is not None:
        _, pick = np.unique(per, return_index=True)
        first, third = first[pick], third[pick]
    return {"n": len(first), "top1": round(float(first.mean()), 4), "top3": round(float(third.mean()), 4)}
