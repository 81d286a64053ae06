"""Lets only visitors in who were given the address."""

from __future__ import annotations

import ipaddress
import secrets
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse

COOKIE = "keras_depthseg_token"


class TokenMiddleware:
    """Lets those in who have the token, in the address or, later, in a cookie.

    An ASGI middleware.

    Args:
        app: what it protects.
        token: the secret.
    """

    def __init__(self, app: Any, token: str):
        self._app = app
        self._token = token

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        connection = HTTPConnection(scope)
        path = connection.url.path
        is_own = connection.client is not None and (
            # Gradio's own first request, which starts its queue and tells nothing.
            path == "/gradio_api/startup-events"
            and is_this_computer(connection.client.host)
        )
        if is_own or self._is_token(connection.cookies.get(COOKIE, "")):
            return await self._app(scope, receive, send)
        if self._is_token(connection.query_params.get("token", "")):
            answer: Any = RedirectResponse(path, 303)
            answer.set_cookie(COOKIE, self._token, httponly=True, samesite="strict")
        else:
            answer = PlainTextResponse(
                "Open the address that the terminal shows: it has the token.", 403
            )
        await answer(scope, receive, send)

    def _is_token(self, received: str) -> bool:
        return secrets.compare_digest(received.encode(), self._token.encode())


def is_this_computer(host: str) -> bool:
    """Return whether an address is only reached from this computer."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
