"""Who may speak to the explorer: its own page, opened by whoever started it. Nobody else.

A server on 127.0.0.1 is out of reach for other machines, not for other pages: whatever site a browser shows can send
requests to it, and a name that its owner points to 127.0.0.1 ("DNS rebinding") makes the answers readable too. So every
request has to pass three gates, or is refused with 403 before anything of it is read:

    Host      is the address that the explorer listens on, not a name that somebody gave it
    Origin    is that address too, where the browser says it; and Sec-Fetch-Site is "same-origin" or "none"
    token     a random cookie. It is given in exchange for the token in the address that the command printed,
              so other users of this machine, who can reach its ports, are kept out too

Every answer carries a content security policy: scripts and styles from the explorer's own files alone, none inside
the page, nothing from the network.
"""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
TOKEN = "token"  # its name in the address
HTTP_PORT = 80  # browsers leave it out of the address


class Guard:
    """ASGI middleware around ``app``. ``port`` is where it listens; ``token`` a new random one unless given."""

    def __init__(self, app: ASGIApp, port: int, token: str | None = None) -> None:
        self.app = app
        self.token = token or secrets.token_urlsafe(24)
        shown = "" if port == HTTP_PORT else f":{port}"
        self.hosts = [f"127.0.0.1{shown}", f"localhost{shown}"]
        self.cookie = f"minicnn-{port}"  # cookies do not know of ports: two explorers must not take each other's

    @property
    def address(self) -> str:
        """Where the page can be opened, token included."""
        return f"http://{self.hosts[0]}/?{TOKEN}={self.token}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no websockets here
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        problem = self._foreign(headers)
        if problem:
            await _refusal(problem)(scope, receive, send_guarded)
        elif self._right(parse_qs(scope["query_string"].decode("latin-1")).get(TOKEN, [""])[0]):
            await self._admit()(scope, receive, send_guarded)
        elif not self._right(self._cookie(headers)):
            problem = "This page is for whoever started it. Open the address that `minicnn explore` printed."
            await _refusal(problem)(scope, receive, send_guarded)
        else:
            await self.app(scope, receive, send_guarded)

    def _foreign(self, headers: Headers) -> str:
        """Why a request does not come from the explorer's own page; "" if it may."""
        if headers.getlist("host") not in [[host] for host in self.hosts]:
            return f"Expected a request for {self.hosts[0]}. Received: one for another host."
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        if origin is not None and origin != f"http://{headers['host']}":
            return "Expected a request from the explorer's own page. Received: one from another site."
        if site not in ("same-origin", "none"):
            return f"Expected a request from the explorer's own page. Received: one that is {site}."
        return ""

    def _right(self, token: str) -> bool:
        return secrets.compare_digest(token.encode("utf-8", "replace"), self.token.encode())

    def _cookie(self, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self.cookie)
        except CookieError:
            return ""
        return found.value if found else ""

    def _admit(self) -> Response:
        """The cookie for the token; and the address loses it, so that it is in no history and no screenshot."""
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(self.cookie, self.token, httponly=True, samesite="strict")
        return response


def _refusal(problem: str) -> Response:
    return PlainTextResponse(problem, status_code=403)
