"""A small real OpenID Connect provider on loopback for the tests: discovery, code flow with PKCE, signed ID tokens."""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT, SECRET = "onemap", "s3cret of the client"


class OidcServer:
    """The provider. `spoil` changes what it answers, as a broken or hostile one would.

    Attributes
    ----------
    claims : dict
        Claims of whoever signs in there.
    spoil : set of str
        ``signature``, ``nonce``, ``aud``, ``iss``, ``expired``, ``alg none``, ``hmac``, ``no nonce``.
    seen : list of dict
        Token requests as they came.
    """

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.claims: dict[str, Any] = {"sub": "42", "name": "王敏", "preferred_username": "wang.min"}
        self.spoil: set[str] = set()
        self.seen: list[dict[str, str]] = []
        self._key = RSAKey.generate_key(2048, {"kid": "1"})
        self._codes: dict[str, dict[str, str]] = {}

    def authorize(self, params: dict[str, str]) -> str:
        """What happens after the person signed in there: back to the client with a code."""
        assert params["client_id"] == CLIENT
        assert params["response_type"] == "code"
        assert params["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = params
        return f"{params['redirect_uri']}?{urlencode({'code': code, 'state': params['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Exchange a code, once, against the verifier and the client's secret."""
        self.seen.append(form)
        asked = self._codes.pop(form.get("code", ""), None)
        challenge = (
            base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
            .rstrip(b"=")
            .decode()
        )
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if asked is None or challenge != asked["code_challenge"] or authorization != basic:
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": self._id_token(asked)}

    def _id_token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.claims,
        }
        changes: dict[str, dict[str, Any]] = {
            "nonce": {"nonce": "another"}, "aud": {"aud": "another"}, "aud with azp": {"aud": "another", "azp": CLIENT}, "iss": {"iss": "https://another"}, "expired": {"exp": now - 3600},
        }  # fmt: skip
        for name, change in changes.items():
            if name in self.spoil:
                claims |= change
        if "no nonce" in self.spoil:
            del claims["nonce"]
        if "alg none" in self.spoil:
            head, body = (
                base64.urlsafe_b64encode(str(t).replace("'", '"').encode()).rstrip(b"=").decode()
                for t in ({"alg": "none"}, claims)
            )
            return f"{head}.{body}."
        if "hmac" in self.spoil:
            return jwt.encode({"alg": "HS256", "kid": "1"}, claims, OctKey.import_key(SECRET + "x" * 20))
        key = RSAKey.generate_key(2048, {"kid": "1"}) if "signature" in self.spoil else self._key
        return jwt.encode({"alg": "RS256", "kid": "1"}, claims, key)

    def app(self) -> FastAPI:
        """Its web."""
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        def discovery() -> dict[str, str]:
            issuer = "http://127.0.0.1:1" if "discovery" in self.spoil else self.issuer
            return {"issuer": issuer, "authorization_endpoint": f"{self.issuer}/authorize", "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/jwks"}  # fmt: skip

        @app.get("/authorize")
        def authorize(request: Request) -> RedirectResponse:
            return RedirectResponse(self.authorize(dict(request.query_params)))

        @app.post("/token")
        async def token(request: Request) -> JSONResponse:
            form = dict(parse_qsl((await request.body()).decode()))
            status, answer = self.token(form, request.headers.get("authorization", ""))
            return JSONResponse(answer, status)

        @app.get("/jwks")
        def jwks() -> dict[str, Any]:
            return {"keys": [self._key.as_dict(private=False)]}

        return app


@contextmanager
def serving() -> Iterator[OidcServer]:
    """Run the provider on a free port of this machine."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        provider = OidcServer(listening.getsockname()[1])
        server = uvicorn.Server(uvicorn.Config(provider.app(), log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield provider
        finally:
            server.should_exit = True
            thread.join(timeout=10)
