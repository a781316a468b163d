"""Encryption of personal fields (加密存储): AES-256-GCM, the keys in a file outside the database, old ones kept for reading."""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gis.errors import SetupProblem
from gis.settings import Settings

_FORM = 1  # first byte of a ciphertext; another number would be another way to encrypt
_KEY_ID = 4
_NONCE = 12
_HEAD = 1 + _KEY_ID + _NONCE
_TAG = 16
LOOKUP_BYTES = 16


class Keys:
    """The keys of one installation. A ciphertext is form (1) | key id (4) | nonce (12) | AES-256-GCM text and tag.

    Parameters
    ----------
    lookup : bytes
        Master of the keyed hashes; never rotated, or nothing would be found again.
    masters : dict of bytes to bytes
        Key id (4 bytes) to master (32 bytes); the last one encrypts, all of them decrypt.
    file : Path or None
        Where they were read: a running server reads them again when they change there.
    """

    def __init__(self, *, lookup: bytes, masters: dict[bytes, bytes], file: Path | None = None) -> None:
        if not masters or any(len(k) != _KEY_ID or len(m) != 32 for k, m in masters.items()) or len(lookup) != 32:
            raise SetupProblem("密钥文件的内容不对。", next_step="从备份恢复密钥文件；不要新建，新密钥打不开旧数据。")
        self._lookup = _derive(lookup, b"onemap lookup")
        self._ciphers = {k: AESGCM(_derive(m, b"onemap encrypt")) for k, m in masters.items()}
        self._current = list(masters)[-1]
        self._file = file
        self._version = _version(file)

    @property
    def current_id(self) -> str:
        """Id of the key that encrypts, hex."""
        self._follow()
        return self._current.hex()

    def _follow(self) -> None:
        """Take over a key that was added to the file since: otherwise a rotation would need a restart of the web."""
        version = _version(self._file)
        if self._file is None or version is None or version == self._version:
            return
        fresh = _read_keys(self._file)
        # Both at once: another thread never sees a current key without its cipher.
        self._ciphers, self._current, self._version = {**self._ciphers, **fresh._ciphers}, fresh._current, version

    def encrypt(self, value: str, *, table: str, row: object, field: str) -> bytes:
        """Encrypt one value, bound to where it is stored: elsewhere it does not decrypt."""
        return self.encrypt_many([value], table=table, rows=[row], field=field)[0]  # type: ignore[return-value]

    def encrypt_many(
        self, values: Iterable[str | None], *, table: str, rows: Iterable[object], field: str
    ) -> list[bytes | None]:
        """Encrypt a column; None stays None.

        Parameters
        ----------
        values : iterable of str or None
            Clear text, one a row.
        table, field : str
            ``personal.person``, ``phone``: where the values are stored.
        rows : iterable
            Primary keys, as long as `values`.

        Raises
        ------
        ValueError
            When values and rows differ in number.
        """
        self._follow()
        values = list(values)
        seal = self._ciphers[self._current].encrypt
        head = bytes([_FORM]) + self._current
        place = _place(table, field)
        # One call for all nonces: a system call a row would cost more than the cipher.
        noise = os.urandom(_NONCE * len(values))
        made: list[bytes | None] = []
        for n, (value, row) in enumerate(zip(values, rows, strict=True)):
            if value is None:
                made.append(None)
                continue
            nonce = noise[n * _NONCE : (n + 1) * _NONCE]
            made.append(head + nonce + seal(nonce, value.encode(), place + str(row).encode()))
        return made

    def decrypt(self, ciphertext: bytes, *, table: str, row: object, field: str) -> str:
        """Decrypt what `encrypt` made for this table, row and field.

        Raises
        ------
        SetupProblem
            When the key is not in the key file, or the text was changed, cut, or moved from another place.
        """
        cipher = self._ciphers.get(ciphertext[1 : 1 + _KEY_ID])
        if cipher is None:
            self._follow()
            cipher = self._ciphers.get(ciphertext[1 : 1 + _KEY_ID])
        if len(ciphertext) < _HEAD + _TAG or ciphertext[0] != _FORM or cipher is None:
            raise SetupProblem("这条加密数据没有对应的密钥。", next_step="请系统管理员从备份恢复密钥文件（含旧密钥）。")
        try:
            return cipher.decrypt(
                ciphertext[1 + _KEY_ID : _HEAD], ciphertext[_HEAD:], _place(table, field) + str(row).encode()
            ).decode()
        except InvalidTag:
            raise SetupProblem(
                "这条加密数据被改动过，或不属于这一行。", next_step="请审计管理员核查：./onemap audit verify。"
            ) from None

    def lookup(self, value: str | None, *, field: str) -> bytes | None:
        """Keyed hash of a value for exact-match search (16 bytes); None stays None. Blanks and case do not count."""
        return self.lookup_many([value], field=field)[0]

    def lookup_many(self, values: Iterable[str | None], *, field: str) -> list[bytes | None]:
        """Keyed hashes of a column."""
        start, key = field.encode() + b"\0", self._lookup
        return [
            None
            if v is None
            else hmac.digest(key, start + "".join(v.split()).upper().encode(), "sha256")[:LOOKUP_BYTES]
            for v in values
        ]

    def is_current(self, ciphertext: bytes) -> bool:
        """Whether the newest key made it; what is not may be encrypted again after a rotation."""
        return ciphertext[1 : 1 + _KEY_ID] == self._current


def key_file(settings: Settings) -> Path:
    """``var/keys/personal.key``, or where ONEMAP_PERSONAL_KEY_FILE says."""
    return settings.personal_key_file or settings.var / "keys" / "personal.key"


def make_keys(settings: Settings) -> Keys:
    """Read the key file, making it when there is none: for the first start, before anything is encrypted."""
    path = key_file(settings)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path, {"lookup": _fresh(), "keys": {secrets.token_hex(_KEY_ID): _fresh()}}, replace=False)
    return load_keys(settings)


def load_keys(settings: Settings) -> Keys:
    """Read the key file.

    Raises
    ------
    SetupProblem
        When it is missing, unreadable, or others than its owner may read it.
    """
    return _read_keys(key_file(settings))


def _read_keys(path: Path) -> Keys:
    raw = _read(path)
    try:
        return Keys(
            lookup=base64.b64decode(raw["lookup"], validate=True),
            masters={bytes.fromhex(k): base64.b64decode(m, validate=True) for k, m in raw["keys"].items()},
            file=path,
        )
    except (KeyError, AttributeError, TypeError, ValueError) as e:
        raise SetupProblem(
            "密钥文件的内容不对。", next_step="从备份恢复密钥文件；不要新建，新密钥打不开旧数据。"
        ) from e


def rotate(settings: Settings) -> Keys:
    """Add a new key that encrypts from now on; the old ones stay for reading."""
    path = key_file(settings)
    raw = _read(path)
    raw["keys"][secrets.token_hex(_KEY_ID)] = _fresh()
    _write(path, raw, replace=True)
    return load_keys(settings)


def retire(settings: Settings) -> int:
    """Drop all keys but the newest; return how many. Only when nothing is sealed by them any more (resealing.older)."""
    path = key_file(settings)
    raw = _read(path)
    newest = list(raw["keys"])[-1]
    dropped = len(raw["keys"]) - 1
    if dropped:
        raw["keys"] = {newest: raw["keys"][newest]}
        _write(path, raw, replace=True)
    return dropped


def _version(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_ino) if found is not None else None


def _read(path: Path) -> dict[str, Any]:
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except OSError as e:
        raise SetupProblem(
            f"读不到密钥文件 {path}。", next_step="从备份恢复它，或用 ONEMAP_PERSONAL_KEY_FILE 指明位置。"
        ) from e
    if mode & 0o077:
        raise SetupProblem(f"密钥文件 {path} 别人也能读。", next_step=f"运行：chmod 600 {path}")
    try:
        raw = json.loads(text)
    except ValueError:
        raw = None
    if not isinstance(raw, dict):
        raise SetupProblem("密钥文件的内容不对。", next_step="从备份恢复密钥文件；不要新建，新密钥打不开旧数据。")
    return raw


def _write(path: Path, content: Mapping[str, object], *, replace: bool) -> None:
    """Whole or not at all, readable by the owner only; of two first starts at once, one makes it."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
        json.dump(content, f)
        f.flush()
        os.fsync(f.fileno())
    if replace:
        new.replace(path)
        return
    try:
        os.link(new, path)
    except FileExistsError:
        pass
    finally:
        new.unlink()


def _place(table: str, field: str) -> bytes:
    return f"{table}\0{field}\0".encode()


def _derive(master: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(master)


def _fresh() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
