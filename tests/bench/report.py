"""What a benchmark hands back, and how it is printed: figure, target, the peer's figure from the same run, the ratio."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes
    ----------
    name : str
        What was measured, with the percentile.
    value : float or None
        None: not executed; `note` says why. Never a made-up number.
    unit : str
        ``ms``, ``s``, ``kB``, ``rows/s`` ...
    target : float or None
        None when the figure is for information.
    better : {'lower', 'higher'}
        Which side of the target is good.
    peer : float or None
        The peer's figure from the same run.
    peer_name : str
        ``tipg 1.6.1``, ``geopandas.to_postgis`` ...
    ratio_target : float or None
        How many times better than the peer it must be.
    """

    name: str
    value: float | None
    unit: str
    target: float | None = None
    better: Literal["lower", "higher"] = "lower"
    peer: float | None = None
    peer_name: str = ""
    ratio_target: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer (above 1 is better)."""
        if not self.value or not self.peer:
            return None
        return self.peer / self.value if self.better == "lower" else self.value / self.peer

    @property
    def verdict(self) -> Literal["met", "missed", "information", "not executed"]:
        """Whether target and ratio are met; a figure nobody measured never counts as met."""
        if self.value is None:
            return "not executed"
        checks = []
        if self.target is not None:
            checks.append(self.value <= self.target if self.better == "lower" else self.value >= self.target)
        if self.ratio_target is not None:
            checks.append(self.ratio is not None and self.ratio >= self.ratio_target)
        if not checks:
            return "information"
        return "met" if all(checks) else "missed"

    def as_dict(self) -> dict[str, object]:
        """Every field plus ratio and verdict, for --json."""
        return asdict(self) | {"ratio": self.ratio, "verdict": self.verdict}
