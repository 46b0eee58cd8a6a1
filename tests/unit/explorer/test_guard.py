"""The gates in front of the explorer: host, origin, token; and the headers of whatever passes."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from minicnn.explorer.guard import Guard

PORT, TOKEN = 8765, "secret"


@pytest.fixture
def reached() -> list[str]:
    return []


@pytest.fixture
def client(reached: list[str]) -> TestClient:
    async def endpoint(request: Request) -> PlainTextResponse:
        reached.append(request.method)
        return PlainTextResponse("inside")

    app = Starlette(routes=[Route("/", endpoint, methods=["GET", "POST"])])
    return TestClient(Guard(app, PORT, TOKEN), base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False)


def admitted(client: TestClient) -> TestClient:
    client.cookies.set(f"minicnn-{PORT}", TOKEN)
    return client


def test_the_token_in_the_address_becomes_a_cookie_and_disappears(client: TestClient, reached: list[str]) -> None:
    answer = client.get(f"/?token={TOKEN}")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert not reached
    assert client.get("/").text == "inside"  # the client keeps cookies


def test_a_browser_does_not_name_port_80() -> None:
    guard = Guard(PlainTextResponse("inside"), 80, TOKEN)
    assert guard.address == f"http://127.0.0.1/?token={TOKEN}"
    client = TestClient(guard, base_url="http://127.0.0.1:80", follow_redirects=False)
    assert client.get(f"/?token={TOKEN}").status_code == 303
    assert client.get("/", headers={"Origin": "http://127.0.0.1"}).text == "inside"


@pytest.mark.parametrize("path", ["/", "/?token=wrong", "/?token="])
def test_without_the_token_nothing_is_shown(client: TestClient, reached: list[str], path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 403
    assert "minicnn explore" in answer.text
    assert not reached


@pytest.mark.parametrize("cookie", ["wrong", "", "secre", "secrets", "Secret"])
def test_a_wrong_cookie_is_refused(client: TestClient, reached: list[str], cookie: str) -> None:
    client.cookies.set(f"minicnn-{PORT}", cookie)
    assert client.get("/").status_code == 403
    assert not reached


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", f"127.0.0.1.evil.example:{PORT}", ""]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_host_is_refused_whatever_it_knows(
    client: TestClient, reached: list[str], host: str, method: str
) -> None:
    """DNS rebinding: the request arrives here, the browser thinks it speaks to evil.example."""
    for path in ("/", f"/?token={TOKEN}"):
        answer = admitted(client).request(method, path, headers={"Host": host})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
    assert not reached


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://127.0.0.1:{PORT}"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": f"http://localhost:{PORT}"},  # the host is 127.0.0.1
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_sites_page_is_refused(
    client: TestClient, reached: list[str], headers: dict[str, str], method: str
) -> None:
    assert admitted(client).request(method, "/", headers=headers).status_code == 403
    assert not reached


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": f"http://127.0.0.1:{PORT}", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Host": f"localhost:{PORT}", "Origin": f"http://localhost:{PORT}"},
    ],
)
def test_its_own_page_is_let_in(client: TestClient, headers: dict[str, str]) -> None:
    assert admitted(client).post("/", headers=headers | {"Cookie": f"minicnn-{PORT}={TOKEN}"}).text == "inside"


@pytest.mark.parametrize("path", ["/", f"/?token={TOKEN}", "/?token=wrong"])
def test_every_answer_carries_the_policy(client: TestClient, path: str) -> None:
    for one in (client, admitted(client)):
        headers = one.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_two_explorers_have_two_cookies_and_two_tokens() -> None:
    async def app(*arguments: object) -> None: ...

    one, other = Guard(app, 1), Guard(app, 2)
    assert one.cookie != other.cookie
    assert one.token != other.token
    assert len(one.token) >= 32
    assert one.address == f"http://127.0.0.1:1/?token={one.token}"
