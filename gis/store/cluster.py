"""The private PostgreSQL cluster under var/: made, started and stopped by us, socket only, never as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from gis.errors import SetupProblem
from gis.settings import Settings, reachable
from gis.store.space import free_mb, is_scarce

ACCOUNT = "postgres"  # made by Debian's package; used only when we run as root, which initdb refuses
OLDEST_SERVER = 15

# Sized for one machine of 2 cores shared with the web process. Durability stays on: what was acknowledged survives.
CONFIGURATION = """\
listen_addresses = ''
max_connections = 160
shared_buffers = 512MB
effective_cache_size = 2GB
work_mem = 32MB
maintenance_work_mem = 512MB
max_wal_size = 4GB
checkpoint_timeout = 15min
wal_compression = on
random_page_cost = 1.1
max_parallel_workers_per_gather = 2
max_parallel_maintenance_workers = 2
jit = off
timezone = 'Asia/Shanghai'
log_timezone = 'Asia/Shanghai'
log_min_duration_statement = 2000
log_line_prefix = '%m [%p] %u '
logging_collector = off
"""


def server_folder() -> Path:
    """Return the folder of the newest installed server's programs.

    Raises
    ------
    SetupProblem
        When no server of version 15 or newer is installed.
    """
    found = []
    for folder in Path("/usr/lib/postgresql").glob("*/bin"):
        if (folder / "initdb").exists() and folder.parent.name.isdigit():
            version = int(folder.parent.name)
            share = Path("/usr/share/postgresql") / str(version) / "extension"
            found.append(
                ((share / "postgis.control").exists() and (share / "pgrouting.control").exists(), version, folder)
            )
    usable = [f for f in found if f[1] >= OLDEST_SERVER]
    if not usable:
        raise SetupProblem(
            "没有找到 PostgreSQL 15 或更新的版本。",
            next_step="运行 ./onemap up 会自动安装；手动安装：apt-get install postgresql postgis pgrouting。",
        )
    return max(usable)[2]


class Cluster:
    """One private cluster.

    Parameters
    ----------
    settings : Settings
        Gives ``var`` and the socket folder.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = settings.var / "log" / "postgresql.log"

    @property
    def folder(self) -> Path:
        """Data folder: ``var/pg``, or where ``var/pg`` points when our folder is closed to the server's account."""
        return (self.settings.var / "pg").resolve()

    def _as_account(self, command: list[str]) -> list[str]:
        if os.geteuid() != 0:
            return command
        return ["setpriv", f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--init-groups", *command]

    def _run(self, command: list[str], what: str) -> str:
        # cwd=/: the account may not be allowed into the folder we were called from.
        done = subprocess.run(self._as_account(command), capture_output=True, text=True, cwd="/", check=False)
        if done.returncode != 0:
            tail = "\n".join((done.stderr or done.stdout).strip().splitlines()[-4:])
            raise SetupProblem(f"{what}失败：{tail}", next_step=f"看日志 {self.log}，或运行 ./onemap doctor。")
        return done.stdout

    def running(self) -> bool:
        """True when the postmaster of our data folder is alive."""
        pid_file = self.folder / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().splitlines()[0])
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
        except (OSError, ValueError, IndexError):
            return False
        # a zombie waits only for whoever started it: it serves nobody
        return name.startswith("postgres") and not rest.lstrip().startswith("Z")

    def exists(self) -> bool:
        """True when initdb has finished here."""
        return (self.folder / "onemap.conf").exists()

    def create(self) -> None:
        """Run initdb and write our configuration. Does nothing when the cluster exists."""
        if self.exists():
            return
        var = self.settings.var
        var.mkdir(parents=True, exist_ok=True)
        pg = var / "pg"
        if os.geteuid() == 0 and not pg.is_symlink() and not reachable(var):
            # A folder like /root is closed to the account; the data goes next door and reset takes it away again.
            outside = Path("/var/lib/onemap") / self.settings.digest
            outside.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            pg.symlink_to(outside)
        self._own(self.folder)
        self._own(self.settings.socket_folder)
        if any(self.folder.iterdir()):
            for leftover in self.folder.iterdir():  # an initdb that was killed half way
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        programs = server_folder()
        self._run(
            [str(programs / "initdb"), "-D", str(self.folder), "-U", "postgres", "-A", "trust", "-E", "UTF8",
             "--locale=C.UTF-8", "--no-instructions"],
            "建立数据库",
        )  # fmt: skip
        with (self.folder / "postgresql.conf").open("a") as f:
            f.write("include 'onemap.conf'\n")
        (self.folder / "onemap.conf").write_text(
            CONFIGURATION
            + f"unix_socket_directories = '{self.settings.socket_folder}'\nunix_socket_permissions = 0700\n"
        )

    def start(self) -> bool:
        """Start the cluster; return False when it was running already."""
        if self.running():
            return False
        self._own(self.settings.socket_folder)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        # The server's account may not enter var/log: pg_ctl inherits an open file instead of opening it.
        log = self.log.open("ab")
        command = [str(server_folder() / "pg_ctl"), "-D", str(self.folder), "-w", "-t", "60", "start"]
        done = subprocess.run(
            self._as_account(command), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/", check=False,
            start_new_session=True,  # Ctrl-C in the terminal is ours to handle, not the server's
        )  # fmt: skip
        log.close()
        if done.returncode != 0:
            if is_scarce(self.settings):
                raise SetupProblem(
                    f"磁盘满了（只剩 {free_mb(self.settings)} MB），数据库启动不了。已存的数据都在。",
                    next_step="清理磁盘后再运行；./onemap doctor 可看剩余空间。",
                )
            tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-5:])
            raise SetupProblem(f"数据库启动失败：\n{tail}", next_step="运行 ./onemap doctor。")
        return True

    def stop(self) -> bool:
        """Stop the cluster cleanly; return False when it was not running."""
        if not self.running():
            return False
        self._run([str(server_folder() / "pg_ctl"), "-D", str(self.folder), "-m", "fast", "-w", "stop"], "停止数据库")
        return True

    def remove(self) -> None:
        """Stop the cluster and delete its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        pg = self.settings.var / "pg"
        if pg.is_symlink():
            pg.unlink()

    def _own(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() != 0 and folder.stat().st_uid != os.geteuid():  # the temporary folder is everybody's
            raise SetupProblem(
                f"{folder} 属于别的用户。", next_step="换个位置：ONEMAP_VAR=… ./onemap up，或请它的主人删除。"
            )
        if os.geteuid() == 0:
            account = pwd.getpwnam(ACCOUNT)
            os.chown(folder, account.pw_uid, account.pw_gid)
        folder.chmod(0o700)
