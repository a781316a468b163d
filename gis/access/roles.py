"""Roles (角色) and what each may do, from data/roles.toml; published to the database, which refuses by the same list."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from psycopg import Connection
from psycopg.rows import tuple_row as _tuple

from gis.errors import DefinitionError
from gis.store.queries import load_queries

Level = Literal["county", "township", "village", "grid", "none"]
ADMINISTRATORS = ("system_admin", "security_admin", "audit_admin")
KEYED = "partner"  # another system: keys of its own (partners.py), never a password; the store refuses one too
_ADMINISTRATIVE = {"account.manage", "scope.manage", "session.manage", "audit.read", "admin.system"}
_FILE = "roles.toml"


@dataclass(frozen=True)
class Role:
    """One role: Chinese and English name, the level of its scopes, whether a second factor is needed, what it may do."""

    id: str
    name: str
    name_en: str
    level: Level
    second_factor: bool
    administrator: bool
    permissions: frozenset[str]


@dataclass(frozen=True)
class Roles:
    """All roles by id, and all permissions with a sentence each; in the order of the file."""

    by_id: dict[str, Role]
    sentences: dict[str, str]

    def of(self, role: str) -> Role | None:
        """The role, or None for one that is not defined (any more): it may do nothing."""
        return self.by_id.get(role)

    @classmethod
    def load(cls, data: Path) -> Roles:
        """Read and check the file.

        Raises
        ------
        DefinitionError
            With every fault found: an unknown field, permission or level; an administrator who sees business data;
            two administrators who share a permission; anybody else who holds an administrator's.
        """
        try:
            raw = tomllib.loads((data / _FILE).read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as e:
            raise DefinitionError(f"data/{_FILE} 读不出来：{e}") from e
        sentences: dict[str, str] = raw.get("permissions", {})
        faults: list[str] = []
        by_id = {key: _role(key, fields, sentences, faults) for key, fields in raw.get("roles", {}).items()}
        faults += [f"缺少角色 {a}" for a in ADMINISTRATORS if a not in by_id]
        for role in by_id.values():
            administrative = role.permissions & _ADMINISTRATIVE
            if role.administrator != (role.id in ADMINISTRATORS):
                faults.append(f"{role.id} 的 administrator 与三员不符")
            if role.administrator and role.permissions - _ADMINISTRATIVE:
                faults.append(
                    f"{role.id} 是三员之一，不能有业务权限 {'、'.join(sorted(role.permissions - _ADMINISTRATIVE))}"
                )
            if not role.administrator and administrative:
                faults.append(f"{role.id} 不是三员，不能有 {'、'.join(sorted(administrative))}")
        for permission in sorted(_ADMINISTRATIVE):
            holders = [r.id for r in by_id.values() if r.administrator and permission in r.permissions]
            if len(holders) != 1:
                faults.append(f"{permission} 应当只属于三员中的一员，现在是 {'、'.join(holders) or '无'}")
        used = {p for r in by_id.values() for p in r.permissions}
        faults += [f"没有角色使用权限 {p}" for p in sentences if p not in used]
        if faults:
            raise DefinitionError(f"data/{_FILE}：{'；'.join(faults)}。")
        return cls(by_id=by_id, sentences=sentences)


def _role(key: str, fields: dict[str, Any], sentences: dict[str, str], faults: list[str]) -> Role:
    unknown = set(fields) - {"name", "name_en", "level", "second_factor", "administrator", "permissions"}
    level: Any = fields.get("level")
    listed = fields.get("permissions", [])
    if unknown:
        faults.append(f"{key} 有不认识的字段 {'、'.join(sorted(unknown))}")
    if not fields.get("name") or not fields.get("name_en"):
        faults.append(f"{key} 缺中文名或英文名")
    if level not in get_args(Level):
        faults.append(f"{key} 的 level 不对：{level}")
    if not isinstance(fields.get("second_factor"), bool):
        faults.append(f"{key} 要写明 second_factor = true 或 false")
    faults += [f"{key} 的权限 {p} 没有定义" for p in listed if p not in sentences]
    if len(set(listed)) != len(listed):
        faults.append(f"{key} 的权限有重复")
    return Role(
        id=key,
        name=fields.get("name", ""),
        name_en=fields.get("name_en", ""),
        level=level if level in get_args(Level) else "none",
        second_factor=bool(fields.get("second_factor")),
        administrator=bool(fields.get("administrator", False)),
        permissions=frozenset(listed),
    )


def publish(conn: Connection[Any], roles: Roles) -> None:
    """Copy the roles to the database (role owner, at every start); a change is an audit row.

    Raises
    ------
    DefinitionError
        When an account holds a role that is no longer defined.
    """
    queries = load_queries("access")
    conn.execute(queries["sight_renew"])
    held = {row[0] for row in conn.cursor(row_factory=_tuple).execute(queries["roles_held"]).fetchall()}
    if orphans := held - set(roles.by_id):
        raise DefinitionError(
            f"有账号属于未定义的角色：{'、'.join(sorted(orphans))}。",
            next_step="把角色加回 data/roles.toml，或先停用这些账号。",
        )
    wanted = {(r.id, p) for r in roles.by_id.values() for p in r.permissions}
    standing = set(conn.cursor(row_factory=_tuple).execute(queries["permissions_published"]).fetchall())
    names = {(r.id, r.name, r.administrator) for r in roles.by_id.values()}
    if wanted == standing and names == set(
        conn.cursor(row_factory=_tuple).execute(queries["roles_published"]).fetchall()
    ):
        return
    with conn.cursor() as cursor:
        cursor.execute(queries["roles_clear"])
        cursor.executemany(queries["role_publish"], sorted(names))
        cursor.executemany(queries["permission_publish"], sorted(wanted))
    from gis.access.audit import record

    record(
        conn,
        action="roles.published",
        object_kind="roles",
        before={"permissions": sorted(standing)},
        after={"permissions": sorted(wanted)},
        detail={
            "added": [list(x) for x in sorted(wanted - standing)],
            "removed": [list(x) for x in sorted(standing - wanted)],
        },
    )
