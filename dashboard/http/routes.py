"""Which permission each address and each callback needs: read from data/access/routes.toml, checked when read."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.routing import BaseRoute, Mount, WebSocketRoute, compile_path

from gis.errors import DefinitionError

PUBLIC, SIGNED_IN, NOBODY, BROWSER = "public", "signed-in", "nobody", "browser"
Kind = Literal["page", "api", "file"]
# How our own addresses are spelled. Whatever else the decoded path holds (.. // \\ % ; NUL, a leading dot) is some other
# program's idea of an address, and no route of ours has to find out which.
_PLAIN = re.compile(r"/|(/[A-Za-z0-9_@,:+~=-][A-Za-z0-9_@.,:+~=-]*)+/?")


class _Route(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: str
    methods: list[Literal["GET", "POST", "PUT", "PATCH", "DELETE", "WEBSOCKET"]]
    needs: str | list[str]
    kind: Kind
    rate: str = "request"
    keyed: bool = False


class _Files(BaseModel):
    model_config = ConfigDict(extra="forbid")
    paths: list[str]
    needs: Literal["public"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")
    route: list[_Route]
    file: list[_Files] = []
    callback: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What one address needs.

    Attributes
    ----------
    path : str
        As the application writes it.
    methods : frozenset of str
        ``HEAD`` beside ``GET``.
    needs : frozenset of str
        Any one is enough: permissions, or one of `PUBLIC`, `SIGNED_IN`, `NOBODY`.
    kind : {'page', 'api', 'file'}
        How a refusal is said.
    rate : str
        Which limit counts.
    keyed : bool
        Who asks shows a key of its own in what it sends: neither a cookie nor the page it comes from means anything here.
    """

    path: str
    methods: frozenset[str]
    needs: frozenset[str]
    kind: Kind
    rate: str
    keyed: bool = False

    @property
    def public(self) -> bool:
        """Whether anybody may ask."""
        return PUBLIC in self.needs

    def allows(self, permissions: Collection[str]) -> bool:
        """Whether a signed-in person with `permissions` may ask."""
        return self.public or SIGNED_IN in self.needs or not self.needs.isdisjoint(permissions)


class RouteTable:
    """All rules, in the order written; the first that fits decides, none means no.

    Parameters
    ----------
    rules : iterable of Rule
    callbacks : mapping of output to permission
    """

    def __init__(self, rules: Iterable[Rule], callbacks: Mapping[str, str]) -> None:
        self.rules = tuple(rules)
        self.callbacks = dict(callbacks)
        self._plain: dict[str, list[Rule]] = {}
        self._patterns: list[tuple[re.Pattern[str], Rule]] = []
        for rule in self.rules:
            if "{" in rule.path:
                self._patterns.append((compile_path(rule.path)[0], rule))
            else:
                self._plain.setdefault(rule.path, []).append(rule)

    def find(self, path: str, method: str) -> tuple[Rule | None, frozenset[str]]:
        """Return the rule for a request, and the methods that the address knows at all."""
        known: frozenset[str] = frozenset()
        if not _PLAIN.fullmatch(path) or ".." in path:
            return None, known
        for rule in self._fitting(path):
            if NOBODY in rule.needs:
                continue
            if method in rule.methods:
                return rule, known
            known |= rule.methods
        return None, known

    def _fitting(self, path: str) -> Iterable[Rule]:
        # Plain addresses first: a pattern never takes one away from them.
        yield from self._plain.get(path, ())
        for pattern, rule in self._patterns:
            if pattern.match(path):
                yield rule

    def callback(self, output: str) -> frozenset[str] | None:
        """Return the permissions a callback needs, all of them; None when it may not be asked for."""
        needed = set()
        for one in outputs_of(output):
            permission = self.callbacks.get(one)
            if permission is None or permission == BROWSER:
                return None
            needed.add(permission)
        return frozenset(needed) or None

    def faults(self, *, routes: Iterable[BaseRoute], callbacks: Iterable[str]) -> list[str]:
        """Return what the application serves without a row here, and rows for nothing; empty when all is covered."""
        written = {(rule.path, method) for rule in self.rules for method in rule.methods - {"HEAD"}}
        served = {(path, method) for path, methods in served_routes(routes) for method in methods}
        outputs = {one for output in callbacks for one in outputs_of(output)}
        files = {rule.path for rule in self.rules if rule.kind == "file"}
        return [
            *(f"{method} {path}: no row in routes.toml" for path, method in sorted(served - written)),
            *(f"{method} {path}: a row for nothing" for path, method in sorted(written - served) if path not in files),
            *(f"callback {one}: no row in routes.toml" for one in sorted(outputs - set(self.callbacks))),
            *(f"callback {one}: a row for nothing" for one in sorted(set(self.callbacks) - outputs)),
        ]


def outputs_of(output: str) -> list[str]:
    """Return the single outputs in Dash's name of a callback: ``..a.children...b.data..`` → a.children, b.data.

    The mark after ``@`` of a duplicate output is dropped; an id that is a JSON object stays as written.
    """
    text = output[2:-2] if output.startswith("..") and output.endswith("..") and len(output) > 4 else output
    return [part.split("@")[0] for part in text.split("...")]


def served_routes(routes: Iterable[BaseRoute]) -> list[tuple[str, frozenset[str]]]:
    """Return every address an application serves, with its methods; mounts as a path, websockets as a method."""
    served: list[tuple[str, frozenset[str]]] = []
    for context in iter_route_contexts(list(routes)):
        route, path = context.original_route, context.path or ""
        if isinstance(route, Mount):
            served.append((f"{route.path}/{{path:path}}", frozenset({"GET"})))
        elif isinstance(route, WebSocketRoute):
            served.append((path, frozenset({"WEBSOCKET"})))
        else:
            served.append((path, frozenset(context.methods or {"GET"}) - {"HEAD"}))
    return served


def read_routes(path: Path, *, permissions: Collection[str]) -> RouteTable:
    """Read and check the table.

    Parameters
    ----------
    permissions : collection of str
        All permissions there are, of data/roles.toml.

    Raises
    ------
    DefinitionError
        When it does not parse, names an unknown permission, or has two rows for one address; every fault is listed.
    """
    try:
        table = _Table.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as e:
        raise DefinitionError(f"路由权限表 {path.name} 读不了：{e}", next_step="改正后运行 ./onemap check。") from e
    special, rules, faults, seen = {PUBLIC, SIGNED_IN, NOBODY}, [], [], set()
    for row in table.route:
        needs = frozenset([row.needs] if isinstance(row.needs, str) else row.needs)
        if unknown := needs - special - set(permissions):
            faults.append(f"{row.path}: {sorted(unknown)}")
        if len(needs) != 1 and needs & special:
            faults.append(f"{row.path}: {sorted(needs & special)} 不能与别的并列")
        if row.keyed and (needs != {PUBLIC} or row.kind != "api"):
            faults.append(f"{row.path}: keyed 只能用于公开的接口")
        for method in row.methods:
            if (row.path, method) in seen:
                faults.append(f"{method} {row.path} 写了两次")
            seen.add((row.path, method))
        methods = frozenset(row.methods) | ({"HEAD"} if "GET" in row.methods else set())
        rules.append(Rule(row.path, methods, needs, row.kind, row.rate, row.keyed))
    for files in table.file:
        rules += [Rule(p, frozenset({"GET", "HEAD"}), frozenset({files.needs}), "file", "request") for p in files.paths]
    faults += [f"回调 {k}: {v}" for k, v in table.callback.items() if v not in permissions and v != BROWSER]
    if faults:
        raise DefinitionError(
            f"路由权限表 {path.name} 有误：{'；'.join(faults)}。",
            next_step="权限名以 data/roles.toml 为准，改正后运行 ./onemap check。",
        )
    return RouteTable(rules, table.callback)


def asked_callback(body: bytes) -> str | None:
    """Return which callback a request to ``/_dash-update-component`` asks for; None when the body is not one.

    Read with the parser Dash uses, so that a key written twice means the same to both.
    """
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return None
    output = asked.get("output") if isinstance(asked, dict) else None
    return output if isinstance(output, str) else None
