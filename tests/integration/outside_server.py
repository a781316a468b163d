"""A second PostgreSQL server for tests: TCP on 127.0.0.1 only, scram passwords, a DBA in the URL; ends with the test."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gis.store.cluster import ACCOUNT, server_folder
from tests.e2e.browser import free_port


@dataclass(frozen=True)
class OutsideServer:
    """Where it listens and its superuser's password."""

    port: int
    password: str

    def url(self, user: str = "dba", password: str | None = None) -> str:
        """What goes into ONEMAP_DATABASE_URL."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/postgres"


@contextmanager
def outside_server() -> Iterator[OutsideServer]:
    """Make, start, and in the end remove the server; as root it runs as Debian's account, which initdb demands."""
    folder = Path(tempfile.mkdtemp(prefix="onemap-outside-"))
    as_account: list[str] = []
    if os.geteuid() == 0:
        account = pwd.getpwnam(ACCOUNT)
        os.chown(folder, account.pw_uid, account.pw_gid)
        as_account = ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups"]
    password, port, programs = secrets.token_urlsafe(12), free_port(), server_folder()
    data, secret = folder / "pg", folder / "pw"
    secret.write_text(password)
    secret.chmod(0o644)

    def run(*command: str) -> None:
        done = subprocess.run(
            [*as_account, *command], cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    try:
        run(str(programs / "initdb"), "-D", str(data), "-U", "dba", "-A", "scram-sha-256", f"--pwfile={secret}",
            "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        options = (
            f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} "
            "-c shared_buffers=64MB -c password_encryption=scram-sha-256"
        )
        run(str(programs / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield OutsideServer(port, password)
        finally:
            run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
