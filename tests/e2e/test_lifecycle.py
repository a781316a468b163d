"""`./onemap up` and its end, as a person meets them: a folder of its own, a tiny county, real signals, a full disk."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from gis.settings import ROOT

WAIT_S = 120


class Installation:
    """One folder of data, one port, and the commands run against them."""

    def __init__(self, folder: Path) -> None:
        self.var = folder / "var"
        self.var.mkdir()
        (self.var / "node").symlink_to(ROOT / "var" / "node")
        profile = (ROOT / "data" / "counties" / "julu.toml").read_text(encoding="utf-8")
        self.profile = folder / "tiny.toml"
        self.profile.write_text("shrink = 0.02\n" + profile, encoding="utf-8")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port: int = s.getsockname()[1]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("ONEMAP_")}
        self.environment = kept | {"ONEMAP_VAR": str(self.var)}
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command in the background."""
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments],
            cwd=ROOT, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end."""
        process = self.start(*arguments)
        text, _ = process.communicate(timeout=WAIT_S)
        return process.returncode, text

    def up(self) -> subprocess.Popen[str]:
        """Start the county and wait for its first page."""
        process = self.start("up", "--county", str(self.profile), "--port", str(self.port))
        deadline = time.monotonic() + WAIT_S
        while not self.answers():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise AssertionError(process.communicate()[0])
            time.sleep(0.1)
        return process

    def answers(self) -> bool:
        """True when the page answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def database_alive(self) -> bool:
        """True while the private cluster's postmaster lives."""
        try:
            pid = int((self.var / "pg" / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError):
            return False
        return Path(f"/proc/{pid}").exists()

    def end(self) -> None:
        """Stop whatever a test left running."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        self.run("down")


@pytest.fixture
def installation() -> Iterator[Installation]:
    # Not pytest's own folder: every run of pytest closes that to others, and the server's account must walk in.
    folder = Path(tempfile.mkdtemp(prefix="onemap-life-"))
    folder.chmod(0o755)
    made = Installation(folder)
    yield made
    made.end()
    # A process that was just killed may still be closing its files: what it leaves behind is the temporary folder's.
    shutil.rmtree(folder, ignore_errors=True)


def test_up_serves_ctrl_c_stops_everything_and_a_second_up_finds_the_county(installation: Installation) -> None:
    process = installation.up()
    assert installation.database_alive()
    code, text = installation.run("up", "--port", str(installation.port))
    assert code == 0
    assert "已经在运行" in text
    code, text = installation.run("county", "info")
    assert code == 0
    assert "合成" in text
    code, text = installation.run("divisions", "verify")
    assert code == 0, text
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert "就绪" in text
    assert "演示账号：commander" in text
    assert "演示密码：" in text
    assert not installation.answers()
    assert not installation.database_alive()

    again = installation.up()
    code, text = installation.run("down")
    assert code == 0
    assert "已停止：网页" in text
    assert not installation.database_alive()
    assert "生成并装入" not in again.communicate()[0]  # the county was there already


def test_a_killed_build_is_begun_anew(installation: Installation) -> None:
    process = installation.start("up", "--county", str(installation.profile), "--port", str(installation.port))
    deadline = time.monotonic() + WAIT_S
    assert process.stdout is not None
    while "生成并装入" not in process.stdout.readline():
        assert time.monotonic() < deadline
    time.sleep(1.0)  # somewhere in the middle of the build
    process.kill()
    process.wait()
    installation.up()
    code, text = installation.run("divisions", "verify")
    assert code == 0, text


def test_a_killed_web_leaves_a_store_that_comes_back(installation: Installation) -> None:
    process = installation.up()
    process.kill()
    process.wait()
    assert installation.database_alive()  # the store outlives the web
    installation.up()
    assert installation.answers()


def test_a_database_that_dies_under_the_web_comes_back_by_itself(installation: Installation) -> None:
    """As after a disk that was full: nobody has to start anything."""
    process = installation.up()
    written = installation.var / "pg" / "postmaster.pid"
    killed = written.read_text().splitlines()[0]
    os.kill(int(killed), signal.SIGKILL)
    deadline = time.monotonic() + 60
    while not written.exists() or written.read_text().splitlines()[:1] in ([], [killed]):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert "数据库自己停了，已重新启动" in text
    assert not installation.database_alive()  # and it ends with the web all the same


def test_a_taken_port_is_said_before_anything_is_built(installation: Installation) -> None:
    with socket.socket() as s:
        s.bind(("127.0.0.1", installation.port))
        s.listen()
        code, text = installation.run("up", "--county", str(installation.profile), "--port", str(installation.port))
    assert code == 4
    assert "已被占用" in text
    assert f"--port {installation.port + 1}" in text
    assert not (installation.var / "pg").exists()


def test_another_county_does_not_overwrite_this_one(installation: Installation) -> None:
    process = installation.up()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)
    code, text = installation.run("up", "--county", "anji", "--port", str(installation.port))
    assert code == 4
    assert "库里已经是 巨鹿县" in text


def test_commands_without_a_county_say_what_to_do(installation: Installation) -> None:
    for arguments in (["county", "info"], ["divisions", "verify"], ["divisions", "list"]):
        code, text = installation.run(*arguments)
        assert code != 0
        assert "./onemap" in text, text
        assert "Traceback" not in text


def test_reset_takes_the_data_away(installation: Installation) -> None:
    process = installation.up()
    code, text = installation.run("reset", "--yes")
    process.wait(timeout=30)
    assert code == 0, text
    assert not (installation.var / "pg").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small volume needs root")
def test_a_full_disk_ends_in_a_sentence_and_the_store_is_as_before(installation: Installation) -> None:
    """A volume of 200 MB holds the cluster but not the build: refused before, and cleanly when it fills on the way."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200m,mode=755", "tmpfs", str(installation.var)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this machine does not let us mount")
    try:
        (installation.var / "node").symlink_to(ROOT / "var" / "node")
        code, text = installation.run("up", "--county", str(installation.profile), "--port", str(installation.port))
        assert code == 4
        assert "磁盘只剩" in text
        assert "Traceback" not in text
    finally:
        installation.run("down")
        subprocess.run(["umount", str(installation.var)], check=True)
