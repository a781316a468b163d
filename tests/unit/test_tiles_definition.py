"""Layer definitions: those we ship load; a wrong one is refused with every fault at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gis.errors import DefinitionError
from gis.settings import Settings
from gis.store.queries import load_queries
from gis.tiles.definition import Layer, load_layers, read_tokens, resolve

TOKENS = {"light": {"ink": "#000000"}, "dark": {"ink": "#ffffff"}}
GOOD = """
title = { zh = "地块", en = "Parcels" }
group = { zh = "耕地", en = "Farmland" }
order = 1
geometry = "polygon"
roles = ["public"]
attribution = "本县"
[columns]
land_class = { zh = "地类", en = "Land class" }
[[level]]
name = "all"
zoom = [5, 16]
table = "parcel"
columns = ["land_class"]
[[style]]
id = "fill"
type = "fill"
paint = { fill-color = "$ink" }
"""


def load(folder: Path, text: str) -> dict[str, Layer]:
    (folder / "one.toml").write_text(text, encoding="utf-8")
    return load_layers(folder, queries={"known": "SELECT 1"}, tokens=TOKENS)


def shipped() -> dict[str, Layer]:
    folder = Settings().data / "layers"
    return load_layers(folder, queries=load_queries("tiles"), tokens=read_tokens(folder / "_tokens.toml"))


def test_what_we_ship_loads() -> None:
    assert {"divisions", "division_labels", "parcels", "farmland_zones", "roads", "ground", "buildings", "facilities",
            "resources", "incidents", "households"} <= set(shipped())  # fmt: skip


def test_every_shipped_layer_of_the_county_covers_its_zooms_without_a_hole() -> None:
    for layer in shipped().values():
        low, high = layer.zooms
        assert all(layer.level_at(z) is not None for z in range(low, high + 1)), layer.id
        assert layer.level_at(low - 1) is None
        assert layer.level_at(high + 1) is None


def test_parcels_say_something_at_every_zoom_from_nine_to_sixteen() -> None:
    parcels = shipped()["parcels"]
    names = [parcels.level[i].name for z in range(9, 17) if (i := parcels.level_at(z)) is not None]
    assert names == ["villages"] * 3 + ["grids"] * 2 + ["parcels"] * 3


def test_households_are_never_a_table_and_not_for_everybody() -> None:
    households = shipped()["households"]
    assert all(level.table is None for level in households.level)
    assert households.geometry == "polygon"
    assert "public" not in households.roles


def test_a_good_definition_loads(tmp_path: Path) -> None:
    layer = load(tmp_path, GOOD)["one"]
    assert layer.zooms == (5, 16)
    assert layer.depends_on == ("parcel",)


def test_the_digest_follows_the_definition(tmp_path: Path) -> None:
    before = load(tmp_path, GOOD)["one"].digest
    assert load(tmp_path, GOOD)["one"].digest == before
    assert load(tmp_path, GOOD.replace("[5, 16]", "[5, 15]"))["one"].digest != before


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("zoom = [5, 16]", "zoom = [16, 5]", "由小到大"),
        ("zoom = [5, 16]", "zoom = [5, 40]", "0–22"),
        ('table = "parcel"', 'table = "parcel"\nquery = "known"', "只能写一个"),
        ('table = "parcel"', "", "只能写一个"),
        ('table = "parcel"', 'query = "known"', "依赖的表"),
        ('table = "parcel"', 'query = "unknown"\ntables = ["parcel"]', "查询 unknown 不在"),
        ('table = "parcel"', 'table = "parcel; DROP TABLE x"', "pattern"),
        ('table = "parcel"', 'table = "household"', "涉及个人"),
        ('columns = ["land_class"]', 'columns = ["land_class", "contractor_masked"]', "涉及个人"),
        ('columns = ["land_class"]', 'columns = ["land_class", "name"]', "没有在 columns 里说明"),
        ('columns = ["land_class"]', "columns = []", "没有任何级别使用"),
        ('roles = ["public"]', 'roles = ["emperor"]', "roles"),
        ('roles = ["public"]', "roles = []", "roles"),
        ('geometry = "polygon"', 'geometry = "point"', "buffer 应为 0"),
        ("order = 1", 'order = 1\ncolour = "red"', "colour"),
        ("$ink", "$pink", "$pink 在 light 里没有定义"),
        ('type = "fill"', 'type = "fill"\nfilter = ["==", ["get", "owner"], 1]', "owner 不在瓦片里"),
        ('attribution = "本县"', "", "attribution"),
        ("order = 1", "order = [", "不是正确的 TOML"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(DefinitionError) as caught:
        load(tmp_path, GOOD.replace(old, new, 1))
    assert words in caught.value.message
    assert "one.toml" in caught.value.message


def test_all_faults_of_all_files_are_listed(tmp_path: Path) -> None:
    (tmp_path / "two.toml").write_text(GOOD.replace("order = 1", ""), encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        load(
            tmp_path,
            GOOD.replace('roles = ["public"]', "roles = []").replace('geometry = "polygon"', 'geometry = "blob"'),
        )
    lines = caught.value.message.splitlines()
    assert len(lines) == 4  # the heading, two faults of one.toml, one of two.toml


def test_levels_must_join(tmp_path: Path) -> None:
    second = GOOD.split("[[level]]")[1].split("[[style]]")[0].replace('"all"', '"near"').replace("[5, 16]", "[14, 16]")
    first = GOOD.replace("[5, 16]", "[5, 12]")
    with pytest.raises(DefinitionError, match="首尾相接"):
        load(tmp_path, first.replace("[[style]]", f"[[level]]{second}[[style]]"))


def test_an_empty_folder_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="没有图层定义"):
        load_layers(tmp_path, queries={}, tokens=TOKENS)


def test_themes_must_know_the_same_colours(tmp_path: Path) -> None:
    path = tmp_path / "_tokens.toml"
    path.write_text('[light]\na = "#000"\n[dark]\nb = "#fff"\n')
    with pytest.raises(DefinitionError, match="light 与 dark"):
        read_tokens(path)


def test_tokens_are_replaced_at_any_depth() -> None:
    assert resolve(["case", ["has", "x"], "$ink", {"a": "$ink"}], colours={"ink": "#1"}) == [
        "case", ["has", "x"], "#1", {"a": "#1"}
    ]  # fmt: skip
