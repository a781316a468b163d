"""Sign-in (登录): password, second factor, temporary password, identity provider; each step gives a new token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from psycopg import Connection

from gis.access import passwords, second_factor
from gis.access.accounts import normal_login
from gis.access.asking import Transaction, ip, row, value
from gis.access.crypt import Keys
from gis.access.principal import Principal
from gis.access.roles import Roles
from gis.access.rules import AccessRules
from gis.access.second_factor import Enrolment
from gis.access.sessions import hash_of, new_token
from gis.errors import NotSignedIn, TooManyRequests

Awaiting = Literal["second_factor", "enrolment", "new_password"]
_WRONG = "账号或密码不对。"
_AGAIN = "核对后再试；忘了密码请找本县的系统管理员重设。"


@dataclass(frozen=True)
class Visitor:
    """Where a request comes from: address and user agent."""

    address: str | None = None
    agent: str | None = None


@dataclass(frozen=True)
class SignedIn:
    """A token for the cookie; while `awaiting` is set it opens nothing but the page of that step."""

    token: str
    awaiting: Awaiting | None


@dataclass(frozen=True)
class _Try:
    """One counted try: the account behind the login, if there is one that may sign in."""

    account_id: int | None
    password_hash: str | None
    role: str | None
    has_totp: bool
    password_temporary: bool


class SignIn:
    """The way in. Every method blocks (a hash takes some 20 ms, a transaction some ms): call it in a worker thread.

    Parameters
    ----------
    begin : Transaction
        Opens one write transaction of role app. No connection is held while a password is hashed.
    roles, rules, keys
        Who must have a second factor, the waits and lifetimes, and what opens the second factors' secrets.
    require_second_factor : bool
        Whether roles that say so must have one; an account that has one is asked for it in any case.
    """

    def __init__(
        self, *, begin: Transaction, roles: Roles, rules: AccessRules, keys: Keys, require_second_factor: bool
    ) -> None:
        self._begin = begin
        self._roles = roles
        self._rules = rules
        self._keys = keys
        self._require_second_factor = require_second_factor
        passwords.warm_up(rules.password)

    def by_password(self, *, login: str, password: str, visitor: Visitor, old_token: str | None = None) -> SignedIn:
        """Sign in by login and password; a session that `old_token` opened ends.

        Raises
        ------
        NotSignedIn
            Unknown, disabled, wrong: the same words after the same time.
        TooManyRequests
            After too many tries; `retry_after_s` says how long to wait, whether the account exists or not.
        """
        login = normal_login(login)
        attempt = self._try(login, visitor)
        if (
            not passwords.verify(attempt.password_hash, password, rules=self._rules.password)
            or attempt.account_id is None
        ):
            self._failed(login, visitor, why="password")
            raise NotSignedIn(_WRONG, next_step=_AGAIN)
        stored = attempt.password_hash
        fresh = None
        if stored and passwords.needs_rehash(stored, rules=self._rules.password):
            fresh = passwords.hash_password(password, rules=self._rules.password)
        awaiting = self._next_step(attempt.role, has_totp=attempt.has_totp, temporary=attempt.password_temporary)
        with self._begin() as conn:
            if fresh:
                value(conn, "password_rehashed", [attempt.account_id, stored, fresh])
            return self._open(
                conn, attempt.account_id, visitor, role=attempt.role, awaiting=awaiting, how="password",
                old_token=old_token,
            )  # fmt: skip

    def by_identity(
        self,
        *,
        subject: str,
        login: str | None,
        visitor: Visitor,
        display_name: str | None = None,
        old_token: str | None = None,
    ) -> SignedIn:
        """Sign in an identity the county's provider vouches for (see oidc.py); no account is made.

        Somebody without an account is noted for the system administrator, who may make one (待开通).

        Raises
        ------
        NotSignedIn
            When no active account belongs to it.
        """
        with self._begin() as conn:
            found = row(conn, "account_of_identity", [subject, normal_login(login) if login else None])
            if found is not None:
                # The provider's own second factor is the provider's business; ours is asked for all the same.
                awaiting = self._next_step(found["role"], has_totp=found["has_totp"], temporary=False)
                return self._open(
                    conn, found["account_id"], visitor, role=found["role"], awaiting=awaiting, how="identity",
                    old_token=old_token,
                )  # fmt: skip
        with self._begin() as conn:
            noted = value(conn, "identity_unknown", [subject, login, display_name])
        self._failed(normal_login(login or subject), visitor, why="identity")
        raise NotSignedIn(
            "身份认证通过了，但本系统还没有您的账号。",
            next_step="已记下您来过，请本县的系统管理员在“账号”里为您开通。"
            if noted
            else "请本县的系统管理员为您建立账号。",
        )

    def awaiting(self, token: str) -> Awaiting | None:
        """What a half-open sign-in waits for; None when the token is not one."""
        half = self._half_open(token)
        return half["awaiting"] if half else None

    def enrolment(self, token: str, *, issuer: str) -> Enrolment:
        """The second factor to set up in this half-open session; a reload shows the same one.

        Raises
        ------
        NotSignedIn
            When the session is not waiting for an enrolment (any more).
        """
        half = self._expect(token, "enrolment")
        place = hash_of(token).hex()
        offer = self._keys.encrypt(
            second_factor.new_secret(), table="access.session", row=place, field="new_totp_secret"
        )
        with self._begin() as conn:
            kept = value(conn, "totp_offer", [hash_of(token), offer])
        if kept is None:
            raise _expired()
        secret = self._keys.decrypt(bytes(kept), table="access.session", row=place, field="new_totp_secret")
        return second_factor.enrolment(secret, login=half["login"], issuer=issuer)

    def by_second_factor(self, token: str, *, code: str, visitor: Visitor) -> SignedIn:
        """Give the code of the second factor, or the first code of a new one; the old token ends.

        Raises
        ------
        NotSignedIn
            When the code is wrong, too old, or used already; or the half-open session is over.
        TooManyRequests
            After too many wrong codes.
        """
        half = self._half_open(token)
        if half is None or half["awaiting"] == "new_password":
            raise _expired()
        # The password was right, so only codes count here; but they count under the same login as passwords do.
        self._try(half["login"], visitor)
        secret = self._secret_of(half, token)
        step = None
        if secret is not None:
            step = second_factor.step_of(secret, code, drift_steps=self._rules.drift_steps)
        if step is not None and secret is not None:
            confirmed = None
            if half["awaiting"] == "enrolment":
                confirmed = self._keys.encrypt(
                    secret, table="access.account", row=half["account_id"], field="totp_secret"
                )
            awaiting = self._next_step(half["role"], has_totp=True, temporary=half["password_temporary"], proven=True)
            with self._begin() as conn:
                if value(conn, "totp_use", [hash_of(token), step, confirmed]):
                    return self._open(
                        conn, half["account_id"], visitor, role=half["role"], awaiting=awaiting, how="second_factor",
                        old_token=token,
                    )  # fmt: skip
        self._failed(half["login"], visitor, why="second_factor")
        raise NotSignedIn(
            "验证码不对，或已经用过。", next_step="等手机上换出下一个验证码再输入；一直不对，请校准手机时间。"
        )

    def new_password(self, token: str, *, password: str, visitor: Visitor) -> SignedIn:
        """Replace a temporary password.

        Raises
        ------
        BadRequest
            With every rule the new one breaks.
        """
        half = self._expect(token, "new_password")
        return self._choose(
            half, half["account_id"], password, visitor, role=half["role"], how="new_password", old_token=token
        )

    def change_password(self, principal: Principal, *, old: str, new: str, visitor: Visitor) -> SignedIn:
        """Change one's own password; all sessions end, this one goes on under a new token.

        Raises
        ------
        NotSignedIn
            When the old one is wrong (counted as a failed sign-in).
        BadRequest
            With every rule the new one breaks.
        """
        self._try(principal.login, visitor)
        with self._begin() as conn:
            value(conn, "act_as", [str(principal.account_id)])
            mine = row(conn, "passwords_of", [principal.account_id])
        if mine is None or not passwords.verify(mine["password_hash"], old, rules=self._rules.password):
            self._failed(principal.login, visitor, why="change_password")
            raise NotSignedIn("现在的密码不对。", next_step="核对后再试。")
        return self._choose(
            mine, principal.account_id, new, visitor, role=principal.role, how="change_password", old_token=None
        )

    def _choose(
        self,
        known: dict[str, Any],
        account_id: int,
        password: str,
        visitor: Visitor,
        *,
        role: str | None,
        how: str,
        old_token: str | None,
    ) -> SignedIn:
        passwords.check_new(
            password, login=known["login"], rules=self._rules.password, current=known["password_hash"],
            previous=known["previous_password_hash"],
        )  # fmt: skip
        hashed = passwords.hash_password(password, rules=self._rules.password)
        with self._begin() as conn:
            value(conn, "password_chosen", [account_id, hashed, ip(visitor.address)])
            return self._open(conn, account_id, visitor, role=role, awaiting=None, how=how, old_token=old_token)

    def _next_step(self, role: str | None, *, has_totp: bool, temporary: bool, proven: bool = False) -> Awaiting | None:
        """What is still missing, in this order: second factor, a password of one's own."""
        if not proven:
            if has_totp:
                return "second_factor"
            defined = self._roles.of(role or "")
            if self._require_second_factor and defined is not None and defined.second_factor:
                return "enrolment"
        return "new_password" if temporary else None

    def _try(self, login: str, visitor: Visitor) -> _Try:
        lockout = self._rules.lockout
        with self._begin() as conn:
            found = row(
                conn,
                "try_begin",
                {"login": login, "address": ip(visitor.address), "pair": lockout.pair_steps_s, "per_login": lockout.login_steps_s,
                 "per_address": lockout.address_steps_s, "memory": lockout.memory},
            )  # fmt: skip
        assert found is not None  # the function always answers
        if found["wait_s"] > 0:
            raise TooManyRequests(
                f"试错太多次，请等 {_in_words(found['wait_s'])}后再试。",
                next_step="账号没有被锁死，等够时间就能再试；忘了密码请找系统管理员重设。",
                retry_after_s=found["wait_s"],
            )
        return _Try(
            account_id=found["account_id"], password_hash=found["password_hash"], role=found["role"],
            has_totp=bool(found["has_totp"]), password_temporary=bool(found["password_temporary"]),
        )  # fmt: skip

    def _failed(self, login: str, visitor: Visitor, *, why: str) -> None:
        with self._begin() as conn:
            value(conn, "try_failed", [login, ip(visitor.address), why])

    def _open(
        self,
        conn: Connection[Any],
        account_id: int,
        visitor: Visitor,
        *,
        role: str | None,
        awaiting: Awaiting | None,
        how: str,
        old_token: str | None,
    ) -> SignedIn:
        token = new_token()
        defined = self._roles.of(role or "")
        opened = value(
            conn,
            "session_open",
            {"account_id": account_id, "token": hash_of(token), "old": hash_of(old_token) if old_token else None,
             "address": ip(visitor.address), "agent": visitor.agent, "awaiting": awaiting, "how": how, "idle": self._rules.idle_of(defined.level if defined else None),
             "life": self._rules.step if awaiting else self._rules.absolute},
        )  # fmt: skip
        if not opened:
            raise NotSignedIn(_WRONG, next_step=_AGAIN)
        return SignedIn(token=token, awaiting=awaiting)

    def _half_open(self, token: str) -> dict[str, Any] | None:
        with self._begin() as conn:
            return row(conn, "session_awaiting", [hash_of(token)])

    def _expect(self, token: str, awaiting: Awaiting) -> dict[str, Any]:
        half = self._half_open(token)
        if half is None or half["awaiting"] != awaiting:
            raise _expired()
        return half

    def _secret_of(self, half: dict[str, Any], token: str) -> str | None:
        if half["awaiting"] == "enrolment":
            kept, table, place, field = (
                half["new_totp_secret"],
                "access.session",
                hash_of(token).hex(),
                "new_totp_secret",
            )
        else:
            kept, table, place, field = half["totp_secret"], "access.account", half["account_id"], "totp_secret"
        return None if kept is None else self._keys.decrypt(bytes(kept), table=table, row=place, field=field)


def _expired() -> NotSignedIn:
    return NotSignedIn("这次登录已经过时。", next_step="请从登录页重新开始。")


def _in_words(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    return (f"{minutes} 分" if minutes else "") + (f" {rest} 秒" if rest or not minutes else "钟")
