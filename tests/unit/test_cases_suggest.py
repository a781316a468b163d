"""Item suggestion: what the web computes is what was trained, it is silent when it should be, and a model file holds no code."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from gis.cases.suggest import Model, Suggest, SuggestionRules, model_file, normal, read_model, write_model
from gis.cases.suggest_training import Example, _fit, train
from gis.errors import BadInput, SetupProblem
from gis.settings import ROOT, Settings

RULES = SuggestionRules.load(ROOT / "data")
WORDS = {
    "0303": (
        "路灯不亮了",
        "路灯坏了没人修",
        "路面坑洼难走",
        "井盖丢了危险",
        "路灯一直闪",
        "公路塌了一块",
        "路边灯杆倒了",
        "路灯晚上不亮",
    ),
    "0402": (
        "垃圾没人清运",
        "垃圾堆成山",
        "垃圾桶满了",
        "垃圾乱倒在沟里",
        "生活垃圾没收",
        "垃圾车好久没来",
        "村口垃圾太多",
        "垃圾臭味大",
    ),
    "0301": (
        "水管漏水",
        "停水两天了",
        "自来水发黄",
        "家里没有水",
        "水压太小",
        "水表坏了",
        "水管冻裂",
        "自来水断断续续",
    ),
}


def examples(times: int = 12) -> list[Example]:
    made = []
    for item, texts in WORDS.items():
        for k, text in enumerate(texts):
            made += [Example(normal(f"{text}{'请' * (n % 3)}"), item, k == 7, text) for n in range(times)]
    return made


@pytest.fixture(scope="module")
def model() -> Model:
    return train(examples(), rules=RULES)


def settings(folder: Path) -> Settings:
    return Settings(var=folder, db_name="t_suggest")


def test_numpy_says_what_sklearn_says() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    items = sorted(WORDS)
    texts = [normal(t) for item in items for t in WORDS[item]]
    label = np.repeat(np.arange(len(items)), len(WORDS[items[0]]))
    ours = _fit(texts, label, items)
    words = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, lowercase=False)
    theirs = LogisticRegression(C=10.0, max_iter=400, class_weight="balanced").fit(words.fit_transform(texts), label)
    asked = ["路灯灯灯不亮", "垃圾没人管水也没有", "水管坏了坏了坏了", texts[0]]
    expected = theirs.predict_proba(words.transform(asked))
    found = np.array([ours.shares(t)[0] for t in asked])
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert expected.max() > 0.6  # something was learnt at all


def test_two_items_are_told_apart_by_the_same_arithmetic() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    items = ["0301", "0303"]
    texts = [normal(t) for item in items for t in WORDS[item]]
    label = np.repeat([0, 1], 8)
    words = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, lowercase=False)
    theirs = LogisticRegression(C=10.0, max_iter=400, class_weight="balanced").fit(words.fit_transform(texts), label)
    found = _fit(texts, label, items).shares("路灯坏了")[0]
    np.testing.assert_allclose(found, theirs.predict_proba(words.transform(["路灯坏了"]))[0], atol=2e-4)


def test_a_text_with_no_known_word_says_nothing(model: Model) -> None:
    shares, found = model.shares("zzz")
    assert found == {}
    assert np.allclose(shares, 1 / len(model.items))


def suggesting(folder: Path, made: Model) -> Suggest:
    write_model(made, model_file(settings(folder)))
    return Suggest(settings(folder))


def test_suggests_with_its_reasons(model: Model, tmp_path: Path) -> None:
    found = suggesting(tmp_path, model)("村东头的路灯不亮，晚上看不见")
    assert found[0].code == "0303"
    assert found[0].share >= RULES.least_share
    assert any("路灯" in w for w in found[0].because)
    assert len(found) <= RULES.most
    assert [s.share for s in found] == sorted((s.share for s in found), reverse=True)


@pytest.mark.parametrize("text", ["", "灯", "　 1234 ！！", "zzzz qqqq xxxx", "你好请问一下谢谢"])
def test_is_silent_when_nothing_stands_out(model: Model, tmp_path: Path, text: str) -> None:
    assert suggesting(tmp_path, model)(text) == []


def test_is_silent_without_a_model_and_takes_up_a_new_one(model: Model, tmp_path: Path) -> None:
    asked = Suggest(settings(tmp_path))
    assert asked("路灯不亮了") == []
    write_model(model, model_file(settings(tmp_path)))
    assert asked("路灯不亮了")[0].code == "0303"


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _text(path: Path) -> None:
    path.write_text("not a model")


def _pickled(path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (path.with_name("exploded"),))

    arrays = {name: np.array([Bomb()], dtype=object) for name in ("idf", "weights", "bias", "about")}
    np.savez(path, **arrays)  # type: ignore[arg-type]


def _bare_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": [1]}))


def _other_shape(path: Path) -> None:
    with np.load(path) as f:
        arrays = dict(f)
    np.savez(path, **(arrays | {"weights": arrays["weights"][:, :-1]}))


@pytest.mark.parametrize("damage", [_cut, _text, _pickled, _bare_pickle, _other_shape])
def test_a_damaged_or_hostile_model_file_is_refused_and_runs_nothing(
    model: Model, tmp_path: Path, damage: object
) -> None:
    path = model_file(settings(tmp_path))
    write_model(model, path)
    damage(path)  # type: ignore[operator]
    with pytest.raises(SetupProblem, match="process train"):
        read_model(path)
    assert not path.with_name("exploded").exists()


def test_what_was_written_is_what_is_read(model: Model, tmp_path: Path) -> None:
    path = model_file(settings(tmp_path))
    write_model(model, path)
    again = read_model(path)
    assert again.items == model.items
    assert again.card == model.card
    np.testing.assert_array_equal(again.shares("路灯")[0], model.shares("路灯")[0])


def test_too_little_history_makes_no_model() -> None:
    few: Sequence[Example] = examples(2)
    assert len(few) < RULES.least_rows
    with pytest.raises(BadInput, match="至少要"):
        train(few, rules=RULES)


def test_the_card_measures_on_wording_it_was_not_taught(model: Model) -> None:
    card = model.card
    assert card["rows"] == 8 * 3 * 12
    assert card["unseen_wording"]["n"] == 24  # each wording once
    assert 0 < card["unseen_wording"]["top1"] <= card["unseen_wording"]["top3"] <= 1
    assert card["by_time"]["n"] == 3 * 12
