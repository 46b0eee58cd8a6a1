"""The explorer as a web application: ``answers.ROUTES`` behind addresses, the page's files, and uploads.

Whatever an answer costs is computed in a thread of its own, so the page stays alive meanwhile; ``Explorer`` sees to it
that only one computes at a time. Every error that minicnn raises on purpose becomes ``{"error": message}``, which the
page shows; the server goes on in any case.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from minicnn.errors import ImageError, MinicnnError, OptionError, explain
from minicnn.explorer.answers import ROUTES, Answer
from minicnn.explorer.explorer import Explorer
from minicnn.explorer.static_files import STATIC
from minicnn.ops import jit_cache
from minicnn.report.text import strict

MAX_UPLOAD = 32 * 2**20  # bytes; a photograph of 50 megapixels from a camera is smaller
UNCHANGING = {"Cache-Control": "private, max-age=3600"}  # pictures have the photograph's number in their address
LIVE = {"Cache-Control": "no-store"}
ASK_AGAIN = {"Cache-Control": "no-cache"}  # kept, but after an update of minicnn it is another file


def application(explorer: Explorer) -> Starlette:
    """The ASGI application. It trusts whoever can reach it: put a ``Guard`` in front."""
    answers = [Route(f"/{pattern}", _endpoint(explorer, answer)) for pattern, answer in ROUTES.items()]
    return Starlette(
        routes=[
            *answers,
            Route("/photo", functools.partial(_upload, explorer), methods=["POST"]),
            Route("/compiled", _compiled),
            Mount("/", _PageFiles(directory=STATIC, html=True)),
        ],
        exception_handlers={MinicnnError: _refused, HTTPException: _http_error, Exception: _bug},
    )


class _PageFiles(StaticFiles):
    """The page's own files."""

    def file_response(self, *arguments: Any, **words: Any) -> Response:
        response = super().file_response(*arguments, **words)
        response.headers.update(ASK_AGAIN)
        return response


def _endpoint(explorer: Explorer, answer: Callable[..., Answer]) -> Callable[[Request], Awaitable[Response]]:
    signature = inspect.signature(answer)

    async def endpoint(request: Request) -> Response:
        given = {**dict(request.query_params), **request.path_params}
        given.pop("v", None)  # the photograph's number: keeps browsers from showing an earlier one's pictures
        try:
            bound = signature.bind(explorer, **given)
        except TypeError as error:
            raise OptionError(explain("options that this address has", ", ".join(given), f"({error})")) from None
        found = await run_in_threadpool(explorer.under_lock, answer, *bound.args, **bound.kwargs)
        if isinstance(found, bytes):
            return Response(found, media_type="image/png", headers=UNCHANGING)
        return JSONResponse(strict(found), headers=LIVE)

    return endpoint


async def _upload(explorer: Explorer, request: Request) -> Response:
    """Another photograph: its bytes are the body, its name is in the header X-Name. Too large a one is not read."""
    name = Path(unquote(request.headers.get("x-name", ""))).name or "the photograph"
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_UPLOAD:
        raise _too_large(name)
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_UPLOAD:
            raise _too_large(name)
    await run_in_threadpool(explorer.look_at, bytes(data), name)
    return JSONResponse({"photo": explorer.number}, headers=LIVE)


async def _compiled(request: Request) -> Response:
    """How many functions this process has compiled so far: whoever waits for an answer can see whether that is why.

    Answers while another request computes, so it is not one of ``ROUTES``.
    """
    return JSONResponse({"functions": jit_cache.counts["compiled"]}, headers=LIVE)


def _too_large(name: str) -> ImageError:
    fix = "Make it smaller first: the face is scaled down anyway."
    limit = f"a file of at most {MAX_UPLOAD // 2**20} MiB"
    return ImageError(f"'{name}': {explain(limit, 'a larger one', fix)}")


def _error(message: str, status: int) -> Response:
    return JSONResponse({"error": message}, status_code=status, headers=LIVE)


async def _refused(request: Request, error: Any) -> Response:
    return _error(str(error), 400)


async def _http_error(request: Request, error: Any) -> Response:
    return _error("There is nothing at this address." if error.status_code == 404 else error.detail, error.status_code)


async def _bug(request: Request, error: Exception) -> Response:
    """Not expected: a sentence for the page. The traceback goes to the terminal, Starlette sees to that."""
    return _error(f"The explorer made a mistake ({type(error).__name__}); its terminal says more.", 500)
