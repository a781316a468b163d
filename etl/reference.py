"""Which CRS a file's numbers are in: declared, demanded or matched, always held against where the county lies."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.transformer import AreaOfInterest, TransformerGroup
from shapely.geometry.base import BaseGeometry

from etl.limits import Limits
from gis.crs import Shifted, from_shifted, shifted_name
from gis.errors import BadInput

STORE_SRID = 4490
_CHINA_2000, _WGS_84 = "China 2000", "World Geodetic System 1984"


@dataclass(frozen=True)
class Outline:
    """Where the county lies.

    Attributes
    ----------
    name : str
        巨鹿县
    geometry : shapely geometry
        EPSG:4490 lon/lat.
    metric_srid : int
        CRS for areas and distances, metres.
    """

    name: str
    geometry: BaseGeometry
    metric_srid: int


@dataclass(frozen=True)
class Reference:
    """The CRS a file is read in, and how it was decided.

    Attributes
    ----------
    crs : pyproj.CRS
        Source CRS; coordinates are taken in x, y (easting, northing; lon, lat) order.
    label : str
        ``EPSG:4526``, or a name where no EPSG code fits.
    swap_xy : bool
        The file's first number is the northing or latitude.
    notes : list of str
        For the lineage.
    shifted : {'GCJ-02', 'BD-09'} or None
        What the coordinates are after `crs` is undone: a web map's, taken back to CGCS2000.
    asked : bool
        A person named the CRS; nothing they said is overruled.
    """

    crs: pyproj.CRS
    label: str
    swap_xy: bool = False
    notes: list[str] = field(default_factory=list)
    shifted: Shifted | None = None
    asked: bool = False

    def to_store(self, xy: NDArray[np.float64], *, swap: bool = False) -> NDArray[np.float64]:
        """Numbers of the file to lon, lat of EPSG:4490; `swap` turns the axes once more than the file asks for."""
        lonlat = to_store(xy[:, ::-1] if self.swap_xy != swap else xy, self.crs)
        return lonlat if self.shifted is None else from_shifted(lonlat, self.shifted)


def to_store(xy: NDArray[np.float64], crs: pyproj.CRS) -> NDArray[np.float64]:
    """Transform x, y of `crs` to lon, lat of EPSG:4490; shape (n, 2) in and out; what cannot be transformed is inf.

    CGCS2000 and WGS-84 agree within centimetres and EPSG gives no step between them, so other datums
    go to WGS-84 by their best known transformation.
    """
    target = STORE_SRID if _datum(crs) == _CHINA_2000 else 4326
    transformer = pyproj.Transformer.from_crs(crs, target, always_xy=True)
    x, y = transformer.transform(xy[:, 0], xy[:, 1])
    return np.column_stack([x, y])


def decide(
    *,
    declared: str | None,
    demanded: str | None,
    swap_xy: bool,
    xy: NDArray[np.float64],
    outline: Outline,
    limits: Limits,
    name: str,
) -> Reference:
    """Decide the CRS of a file.

    Parameters
    ----------
    declared : str or None
        What the file says: ``EPSG:n`` or WKT.
    demanded : str or None
        ``--crs``: ``EPSG:n``, ``GCJ-02`` or ``BD-09``.
    xy : ndarray, shape (n, 2)
        One finite point of each row of a sample, as it is in the file.

    Raises
    ------
    BadInput
        No CRS is known; the declared one contradicts the numbers; axes are swapped; the datum cannot be converted.
    """
    file_crs = _parse(declared, what=f"{name} 声明的坐标系") if declared else None
    shifted = shifted_name(demanded) if demanded else None
    asked = _parse(demanded, what="--crs") if demanded and shifted is None else None
    if shifted is not None and file_crs is None:
        asked = pyproj.CRS.from_epsg(4326)  # what web maps call longitude and latitude
    if file_crs is None and asked is None:
        raise _missing(xy, outline=outline, limits=limits, name=name)
    crs = asked or file_crs
    assert crs is not None
    notes: list[str] = []
    if asked is not None and file_crs is not None and not file_crs.equals(asked, ignore_axis_order=True):
        if share_inside(xy, file_crs, outline, swap_xy=swap_xy) >= limits.location.fits_share:
            raise BadInput(
                f"{name} 自带坐标系 {_label(file_crs, limits)[0]}，而且数据确实落在{outline.name}；与 --crs {demanded} 不一致。",
                next_step="去掉 --crs 再导入。",
            )
        notes.append(f"文件声明 {_label(file_crs, limits)[0]} 与坐标不符，按 --crs {demanded}")
    label, matched = _label(crs, limits)
    if matched:
        notes.append(matched)
    if shifted is not None:
        notes.append(f"按 --crs {demanded} 换算：{label} 的数当作 {shifted} 坐标，换回 CGCS2000")
        label = shifted
    reference = Reference(crs, label, swap_xy, notes, shifted, asked=demanded is not None)
    if len(xy) == 0:
        return reference
    share = share_inside(xy, crs, outline, swap_xy=swap_xy)
    if share == 0:
        _diagnose(reference, xy, outline=outline, limits=limits, name=name)
    else:
        _check_datum(reference, outline=outline, limits=limits, name=name)
    return reference


def share_inside(xy: NDArray[np.float64], crs: pyproj.CRS, outline: Outline, *, swap_xy: bool = False) -> float:
    """Share of the points that lie inside the county when read in `crs`."""
    if len(xy) == 0:
        return 0.0
    lonlat = to_store(xy[:, ::-1] if swap_xy else xy, crs)
    fine = np.isfinite(lonlat).all(axis=1)
    inside = shapely.contains_xy(outline.geometry, lonlat[fine, 0], lonlat[fine, 1])
    return float(inside.sum()) / len(xy)


def fitting(xy: NDArray[np.float64], outline: Outline, limits: Limits) -> list[tuple[int, str, float, bool]]:
    """Candidates under which the points lie in the county: (EPSG, note, share, swapped), best first."""
    found = []
    for candidate in limits.candidates:
        crs = pyproj.CRS.from_epsg(candidate.epsg)
        for swapped in (False, True):
            share = share_inside(xy, crs, outline, swap_xy=swapped)
            if share >= limits.location.fits_share:
                found.append((candidate.epsg, candidate.note, share, swapped))
    return sorted(found, key=lambda f: (f[3], -f[2]))


def whereabouts(xy: NDArray[np.float64], crs: pyproj.CRS, *, swap_xy: bool = False) -> str:
    """``5.9°E 52.1°N``: the middle of the points, for a sentence."""
    lonlat = to_store(xy[:, ::-1] if swap_xy else xy, crs)
    lonlat = lonlat[np.isfinite(lonlat).all(axis=1)]
    if len(lonlat) == 0:
        return "无法换算成经纬度的地方"
    lon, lat = np.median(lonlat, axis=0)
    return f"{abs(lon):.1f}°{'E' if lon >= 0 else 'W'} {abs(lat):.1f}°{'N' if lat >= 0 else 'S'}"


def country(crs: pyproj.CRS, limits: Limits) -> str:
    """Area of use for a sentence: （荷兰）; empty where none is known."""
    if crs.area_of_use is None:
        return ""
    name = crs.area_of_use.name.split(" - ")[0].rstrip(".")
    return f"（{limits.countries.get(name, name)}）"


def _parse(text: str, *, what: str) -> pyproj.CRS:
    try:
        return pyproj.CRS.from_user_input(int(text) if text.isdigit() else text)
    except pyproj.exceptions.CRSError as e:
        raise BadInput(
            f"{what}“{text[:60]}”读不懂。", next_step="请用 --crs EPSG:代码 指明，如 --crs EPSG:4526。"
        ) from e


def _label(crs: pyproj.CRS, limits: Limits) -> tuple[str, str]:
    """EPSG label and, when it was matched rather than read, a note; a name where nothing matches with confidence."""
    exact = crs.to_epsg(min_confidence=100)
    if exact:
        return f"EPSG:{exact}", ""
    match = crs.to_epsg(min_confidence=limits.location.min_crs_confidence)
    if match:
        return f"EPSG:{match}", f"坐标系“{crs.name}”按参数匹配为 EPSG:{match}"
    return crs.name or "未命名坐标系", f"坐标系“{crs.name}”没有对应的 EPSG 代码，按其参数换算"


def _datum(crs: pyproj.CRS) -> str:
    """Name of the geodetic datum, reduced to the two that need no conversion."""
    geodetic = crs.geodetic_crs
    if geodetic is None:
        return ""
    name = (geodetic.datum.name if geodetic.datum else geodetic.name) or ""
    flat = name.lower().replace("_", " ")
    if "china 2000" in flat or "cgcs2000" in flat or "china geodetic coordinate system 2000" in flat:
        return _CHINA_2000
    if "world geodetic system 1984" in flat or flat in ("wgs 1984", "d wgs 1984", "wgs 84"):
        return _WGS_84
    return name


def _check_datum(reference: Reference, *, outline: Outline, limits: Limits, name: str) -> None:
    """Refuse a datum that would move everything by tens of metres without a word."""
    datum = _datum(reference.crs)
    if datum in (_CHINA_2000, _WGS_84):
        return
    west, south, east, north = outline.geometry.bounds
    group = TransformerGroup(
        reference.crs,
        4326,
        always_xy=True,
        allow_ballpark=False,
        area_of_interest=AreaOfInterest(west, south, east, north),
    )
    known = [t.accuracy for t in group.transformers if 0 <= t.accuracy <= limits.location.max_accuracy_m]
    if not known:
        raise BadInput(
            f"{name} 用的是 {datum} 基准（{reference.label}），没有 {limits.location.max_accuracy_m:g} 米以内的公开换算参数，"
            "直接导入会整体偏移几十米。",
            next_step="请让测绘部门用本地转换参数转成 CGCS2000（如 EPSG:4526）后再导入。",
        )
    reference.notes.append(f"{datum} 换算到 CGCS2000，公布精度 {min(known):g} 米")


def _missing(xy: NDArray[np.float64], *, outline: Outline, limits: Limits, name: str) -> BadInput:
    """The refusal when a file names no CRS: says which ones fit."""
    fits = fitting(xy, outline, limits) if len(xy) else []
    if not fits:
        return BadInput(
            f"{name} 没有坐标系（缺少 .prj），按常用坐标系试过，数据都不在{outline.name}范围内。{_numbers(xy)}",
            next_step="请向提供方问清坐标系，再用 --crs EPSG:代码 指明。",
        )
    listing = "；".join(
        f"EPSG:{epsg}（{note}，{share:.0%} 的数据落在{outline.name}{'，但坐标轴颠倒，要加 --swap-xy' if swapped else ''}）"
        for epsg, note, share, swapped in fits
    )
    epsg, _, _, swapped = fits[0]
    return BadInput(
        f"{name} 没有坐标系（缺少 .prj）。{_numbers(xy)}对得上的有：{listing}。",
        next_step=f"向提供方确认不是西安80、北京54（数字相近，差几十米）后，加 --crs EPSG:{epsg}{' --swap-xy' if swapped else ''} 再导入。",
    )


def _diagnose(reference: Reference, xy: NDArray[np.float64], *, outline: Outline, limits: Limits, name: str) -> None:
    """Nothing of the sample lies in the county: say why if it can be known, else let the rows tell."""
    if share_inside(xy, reference.crs, outline, swap_xy=not reference.swap_xy) >= limits.location.fits_share:
        if reference.swap_xy:
            raise BadInput(
                f"{name} 的坐标轴并没有颠倒，加了 --swap-xy 反而落在县外。", next_step="去掉 --swap-xy 再导入。"
            )
        raise BadInput(
            f"{name} 的坐标轴似乎颠倒：第一个数是{'纬度' if reference.crs.is_geographic else '北坐标（测量里的 X）'}，"
            f"对调后 {share_inside(xy, reference.crs, outline, swap_xy=True):.0%} 的数据落在{outline.name}。",
            next_step="确认后用 --swap-xy 再导入。",
        )
    fits = fitting(xy, outline, limits)
    if not fits:
        return
    epsg, note, share, swapped = fits[0]
    raise BadInput(
        f"{name} 的坐标系按 {reference.label} 解读与坐标数值矛盾。{_numbers(xy)}像是 EPSG:{epsg}（{note}），"
        f"按它解读 {share:.0%} 的数据落在{outline.name}{'，且坐标轴颠倒' if swapped else ''}。",
        next_step=f"向提供方确认后，用 --crs EPSG:{epsg}{' --swap-xy' if swapped else ''} 再导入。",
    )


def _numbers(xy: NDArray[np.float64]) -> str:
    if len(xy) == 0:
        return ""
    x, y = np.median(xy, axis=0)
    text = f"坐标数值约为 ({_number(x)}, {_number(y)})"
    for value, axis in ((x, "东"), (y, "东")):
        if 10_000_000 <= value < 100_000_000:
            text += f"，{axis}坐标 8 位、前两位 {int(value // 1_000_000)} 是带号"
            break
    return text + "。"


def _number(value: float) -> str:
    return f"{value:.5f}" if abs(value) < 1000 else f"{value:.0f}"
