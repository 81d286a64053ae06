"""Lets only visitors in who were given the address."""

from __future__ import annotations

import ipaddress
import secrets
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse

COOKIE = "keras_depthseg_token"

# What Gradio asks its own server before it goes on: the first starts its queue, the
# second sees whether it answers. Neither tells anything.
_GRADIOS_OWN = {("GET", "/gradio_api/startup-events"), ("HEAD", "/")}


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
        is_own = (scope.get("method"), path) in _GRADIOS_OWN and _is_from_here(scope)
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


def _is_from_here(scope: Any) -> bool:
    """Return whether a request comes from the computer that answers it."""
    client, server = (scope.get(end) or ("",) for end in ("client", "server"))
    return is_this_computer(client[0]) or (client[0] != "" and client[0] == server[0])


def is_this_computer(host: str) -> bool:
    """Return whether an address is only reached from this computer."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
