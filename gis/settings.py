"""Settings: where things live and how to reach the store. Read from the environment (ONEMAP_*), nothing else."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
Role = Literal["admin", "owner", "app", "reader", "job"]

# sun_path holds 107 bytes and a NUL; PostgreSQL appends "/.s.PGSQL.5432" and ".lock" to the folder.
_LONGEST_SOCKET_FOLDER = 85


def reachable(folder: Path) -> bool:
    """True when any account may walk down to `folder`; the server's account must, when we run as root."""
    present = [part for part in [folder, *folder.parents] if part.exists()]
    return all(part.stat().st_mode & stat.S_IXOTH for part in present)


class Settings(BaseSettings):
    """All settings of one process.

    Attributes
    ----------
    database_url : str or None
        Administrator URL of an existing server; None means the private cluster under ``var/``.
    db_name : str
        Database of this county.
    port : int
        TCP port of the web server on ``host``.
    county : str
        Name of the profile in ``data/counties/``.
    scale : str
        ``demo`` (about 220,000 parcels) or ``full`` (1,000,000).
    production : bool
        A county's real store: a start with demo accounts present is refused.
    require_second_factor : bool
        Whether roles that need a second factor must use it; the demo start sets it off.
    public_url : str or None
        Address people use, when a proxy stands in front; https there makes cookies Secure.
    worker : bool
        Whether the web's process works off jobs too; off where `./onemap worker` runs beside it.
    photos : Path or None
        Folder of the photos of cases; None: ``var/photos/<database>``, because a sweep removes what its database knows nothing of.
    personal_key_file : Path or None
        Key of the personal data; None: ``var/keys/personal.key``.
    audit_head_file : Path or None
        Where the audit trail's head is noted, best on another disk; None: ``var/audit-head.json``.
    oidc_issuer, oidc_client_id, oidc_client_secret, oidc_login_claim : str or None
        The county's own identity provider.
    tianditu_key : str or None
        天地图 tk key; None keeps the basemap entirely local.
    """

    model_config = SettingsConfigDict(env_prefix="ONEMAP_", extra="ignore")

    database_url: str | None = None
    db_name: str = Field(default="onemap", pattern=r"^[a-z][a-z0-9_]{0,50}$")
    host: str = "127.0.0.1"
    port: int = Field(default=8050, ge=1, le=65535)
    county: str = "julu"
    scale: Literal["demo", "full"] = "demo"
    tianditu_key: str | None = None
    production: bool = False
    require_second_factor: bool = True
    public_url: str | None = None
    worker: bool = True
    photos: Path | None = None
    personal_key_file: Path | None = None
    audit_head_file: Path | None = None
    oidc_issuer: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = None
    oidc_login_claim: str | None = None
    var: Path = ROOT / "var"
    tile_cache_mb: int = Field(default=64, ge=0, le=4096)
    tile_max_bytes: int = Field(default=2_000_000, ge=10_000)

    @property
    def root(self) -> Path:
        """The project's folder."""
        return ROOT

    @property
    def data(self) -> Path:
        """Knowledge that is not code."""
        return ROOT / "data"

    @property
    def sql(self) -> Path:
        """The database as files."""
        return ROOT / "sql"

    @property
    def photo_folder(self) -> Path:
        """Where photos are kept."""
        return self.photos or self.var / "photos" / self.db_name

    @property
    def socket_folder(self) -> Path:
        """Folder of the private cluster's socket: ``var/run``, or one outside where that cannot hold a socket."""
        folder = self.var / "run"
        as_root = os.geteuid() == 0
        closed = as_root and not reachable(self.var)
        if len(str(folder).encode()) <= _LONGEST_SOCKET_FOLDER and not closed:
            return folder
        return (Path("/run") if as_root else Path(tempfile.gettempdir())) / f"onemap-{self.digest}"

    @property
    def digest(self) -> str:
        """Short name of this installation, for what must live outside its folder."""
        return hashlib.sha256(str(self.var.resolve()).encode()).hexdigest()[:12]

    def url(self, *, role: Role, database: str | None = None) -> str:
        """Return the libpq URL for `role`; passwords of an outside server come from ``var/secrets.json``."""
        database = database or self.db_name
        if self.database_url is None:
            user = "postgres" if role == "admin" else f"onemap_{role}"
            return f"postgresql://{user}@/{database}?host={quote(str(self.socket_folder), safe='')}&port=5432"
        parts = urlsplit(self.database_url)
        if role == "admin":
            return urlunsplit(parts._replace(path=f"/{database}"))
        from gis.store.secrets import role_password

        host = parts.netloc.rpartition("@")[2]
        netloc = f"onemap_{role}:{quote(role_password(self, role=role), safe='')}@{host}"
        return urlunsplit(parts._replace(netloc=netloc, path=f"/{database}"))
