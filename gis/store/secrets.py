"""Passwords of our roles on an outside server: made once, kept in var/secrets.json, readable by the owner only."""

from __future__ import annotations

import json
import os
import secrets

from gis.settings import Role, Settings


def role_password(settings: Settings, *, role: Role) -> str:
    """Return the password of ``onemap_<role>``, making a random one on first use."""
    path = settings.var / "secrets.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    if role not in known:
        known[role] = secrets.token_urlsafe(24)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            json.dump(known, f)
        fresh.replace(path)
    return known[role]
