"""The county's own identity provider (统一身份认证): OpenID Connect, code flow with PKCE, state and nonce, through Authlib."""

from __future__ import annotations

import base64
import hmac
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from gis.access.crypt import Keys
from gis.errors import NotSignedIn, OnemapError, SetupProblem

_TIMEOUT_S = 10
_LEEWAY_S = 60
_TICKET_LIFE_S = 600
# Signatures by a key of the provider only: "none", and HMAC with our own secret, are not proof of anything.
_ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]


@dataclass(frozen=True)
class ProviderSettings:
    """How to reach the provider.

    Attributes
    ----------
    issuer : str
        https address; plain http on this machine only.
    redirect_uri : str
        Where the provider sends the browser back to.
    login_claim : str or None
        Claim that holds our login, to tie a person to an account at the first visit; None: accounts are tied by subject only.
    """

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    login_claim: str | None = None


@dataclass(frozen=True)
class Identity:
    """Who the provider says it is: its own lasting number for the person, and our login if the claim is mapped."""

    subject: str
    login: str | None
    display_name: str | None


@dataclass(frozen=True)
class Departure:
    """Where to send the browser, and the ticket to keep in a cookie meanwhile (encrypted, ten minutes)."""

    url: str
    ticket: str


class Provider:
    """One identity provider. Both methods block on the network: call them in a worker thread."""

    def __init__(self, settings: ProviderSettings, *, keys: Keys) -> None:
        self._settings = settings
        self._keys = keys
        self._metadata: dict[str, Any] | None = None
        _require_secure(settings.issuer)

    def depart(self) -> Departure:
        """Begin: the provider's page, with fresh state, nonce and PKCE verifier.

        Raises
        ------
        SetupProblem
            When the provider does not answer, or is not the one the settings name.
        """
        state, nonce, verifier = generate_token(32), generate_token(32), generate_token(64)
        with self._session() as session:
            url, _ = session.create_authorization_url(
                self._discovered()["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
        kept = json.dumps({"state": state, "nonce": nonce, "verifier": verifier, "at": time.time()})
        sealed = self._keys.encrypt(kept, table="cookie", row="oidc", field="ticket")
        return Departure(url=url, ticket=base64.urlsafe_b64encode(sealed).decode())

    def arrive(self, *, ticket: str, params: dict[str, str]) -> Identity:
        """Finish: check the state, exchange the code, verify the ID token.

        Parameters
        ----------
        ticket : str
            What `depart` gave, from the cookie; delete the cookie whatever happens.
        params : dict of str to str
            Query of the request the provider sent the browser with.

        Raises
        ------
        NotSignedIn
            When anything does not fit: state, code, signature, issuer, audience, nonce, time.
        """
        kept = self._open_ticket(ticket)
        if params.get("error"):
            raise NotSignedIn("身份认证没有完成。", next_step="请从登录页重新开始。")
        if not hmac.compare_digest(params.get("state", "").encode(), kept["state"].encode()) or not params.get("code"):
            raise _refused()
        metadata = self._discovered()
        try:
            with self._session() as session:
                token = session.fetch_token(
                    metadata["token_endpoint"], grant_type="authorization_code", code=params["code"],
                    code_verifier=kept["verifier"], timeout=_TIMEOUT_S,
                )  # fmt: skip
            claims = self._verified(token, nonce=kept["nonce"])
        except (AuthlibBaseError, JoseError, KeyError, ValueError) as e:
            raise _refused() from e
        except requests.RequestException as e:
            raise _unreachable(self._settings.issuer) from e
        claim = self._settings.login_claim
        login = claims.get(claim) if claim else None
        if claim == "email" and claims.get("email_verified") is False:
            login = None
        name = claims.get("name")
        return Identity(
            subject=f"{self._settings.issuer}#{claims['sub']}",
            login=login if isinstance(login, str) and login else None,
            display_name=name if isinstance(name, str) else None,
        )

    def _verified(self, token: dict[str, Any], *, nonce: str) -> CodeIDToken:
        metadata = self._discovered()
        answer = requests.get(metadata["jwks_uri"], timeout=_TIMEOUT_S, allow_redirects=False)
        answer.raise_for_status()
        # The keys are read anew at every sign-in: a provider that changed them is not locked out.
        decoded = jwt.decode(
            token["id_token"], KeySet.import_key_set(answer.json()),
            registry=JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False),
        )  # fmt: skip
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {
                "iss": {"essential": True, "value": metadata["issuer"]},
                "aud": {"essential": True, "value": self._settings.client_id},
            },
            {"nonce": nonce, "client_id": self._settings.client_id, "access_token": token.get("access_token")},
        )
        claims.validate(leeway=_LEEWAY_S)
        return claims

    def _discovered(self) -> dict[str, Any]:
        if self._metadata is None:
            issuer = self._settings.issuer.rstrip("/")
            try:
                answer = requests.get(
                    f"{issuer}/.well-known/openid-configuration", timeout=_TIMEOUT_S, allow_redirects=False
                )
                answer.raise_for_status()
                metadata = answer.json()
            except (requests.RequestException, ValueError) as e:
                raise _unreachable(issuer) from e
            if metadata.get("issuer", "").rstrip("/") != issuer:
                raise SetupProblem("身份认证平台的地址和它自报的不一致。", next_step="核对 ONEMAP_OIDC_ISSUER。")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                _require_secure(metadata.get(name, ""))
            self._metadata = metadata
        return self._metadata

    def _session(self) -> OAuth2Session:
        return OAuth2Session(
            client_id=self._settings.client_id,
            client_secret=self._settings.client_secret,
            scope="openid profile",
            redirect_uri=self._settings.redirect_uri,
            code_challenge_method="S256",
        )

    def _open_ticket(self, ticket: str) -> dict[str, Any]:
        try:
            sealed = base64.urlsafe_b64decode(ticket.encode())
            kept: dict[str, Any] = json.loads(self._keys.decrypt(sealed, table="cookie", row="oidc", field="ticket"))
        except (OnemapError, ValueError) as e:
            raise _refused() from e
        if not 0 <= time.time() - kept["at"] <= _TICKET_LIFE_S:
            raise _refused()
        return kept


def _require_secure(url: str) -> None:
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise SetupProblem("身份认证平台必须用 https。", next_step="核对 ONEMAP_OIDC_ISSUER，或请平台方启用 https。")


def _refused() -> NotSignedIn:
    return NotSignedIn("身份认证没有通过。", next_step="请从登录页重新开始；一直不行，请联系本县的系统管理员。")


def _unreachable(issuer: str) -> SetupProblem:
    return SetupProblem(f"连不上身份认证平台 {issuer}。", next_step="检查网络，或先用本系统的密码登录。")
