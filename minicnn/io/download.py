"""Weights from the network: a download that goes on where it broke off, and is believed only by its checksum.

Half a gigabyte takes a while, and connections break. So what has come lies beside the target as ``NAME.part``, and the
next attempt asks the server for the rest (HTTP's Range). When all of it is there, its SHA-256 is compared with the one
written down here, and only then does it get its name. Nothing else is trusted: not the server, not what lay there
before. Without a network, the error says which file to put where by hand; it is checked in the same way.

requests, which speaks HTTP, comes with the extra ``files``.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from urllib.parse import urlsplit

from minicnn.errors import LoadError, OptionError, did_you_mean, explain, missing
from minicnn.io.checks import CHUNK
from minicnn.user_cache import user_cache

PIECE = 1 << 18  # bytes
TIMEOUT = (10.0, 60.0)  # seconds: to connect, and between two pieces
SIZE_LIMIT = 2 << 30  # bytes; a server that never stops sending must not fill the disk

Progress = Callable[[int, int | None], None]  # bytes that are there, bytes there will be if the server says so


@dataclass(frozen=True)
class Published:
    """A file on the network: its name here, where it lies, and the SHA-256 of its content."""

    file: str
    url: str
    sha256: str
    about: str


#: What ``minicnn weights fetch`` knows. The checksum is the one that deepface's own tests compare with.
PUBLISHED = {
    "vgg-face": Published(
        "vgg_face_weights.h5",
        "https://github.com/serengil/deepface_models/releases/download/v1.0/vgg_face_weights.h5",
        "759266b9614d0fd5d65b97bf716818b746cc77ab5944c7bffc937c6ba9455d8c",
        "VGG-Face of Parkhi, Vedaldi and Zisserman 2015, as deepface publishes it. Its authors allow research only.",
    )
}


def weights_folder() -> Path:
    """Where weights are kept: $MINICNN_WEIGHTS, or minicnn/weights in the user's cache.

    Raises OptionError for a user who has neither.
    """
    if chosen := os.environ.get("MINICNN_WEIGHTS"):
        return Path(chosen)
    folder = user_cache("weights")
    if folder is None:
        raise OptionError(explain("a folder for weights", "a user without a home", "Name one in $MINICNN_WEIGHTS."))
    return folder


def published(name: str) -> Published:
    """What is known under a name. Raises OptionError, listing the names, for another."""
    if name not in PUBLISHED:
        expected = f"weights among {', '.join(PUBLISHED)}"
        raise OptionError(explain(expected, repr(name), did_you_mean(name, PUBLISHED)))
    return PUBLISHED[name]


def fetch(wanted: Published, folder: str | Path | None = None, progress: Progress | None = None) -> Path:
    """The file, complete and checked; downloaded unless it is there already. It may be put there by hand.

    Raises LoadError, saying what to do, when the network or the server fails, when the content is not what was
    published (then nothing is kept), and for a file of that name with other content, which is left alone;
    MissingDependencyError without requests. Never leaves a wrong file under the right name.
    """
    target = Path(folder or weights_folder()) / wanted.file
    if target.is_file():
        if _checksum(target) != wanted.sha256:
            raise LoadError(f"Cannot use '{target}': it is not {wanted.file} as published. Remove it, and fetch again.")
        return target
    requests = load_requests()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    try:
        _download(requests, wanted.url, part, progress)
    except requests.RequestException as error:
        _give_up(wanted, target, _reason(requests, error, wanted.url))
    if _checksum(part) != wanted.sha256:
        part.unlink()
        _give_up(wanted, target, "what came is not what was published, and was removed")
    os.replace(part, target)
    return target


def load_requests() -> Any:
    """The module requests. Raises MissingDependencyError, naming the extra, when it is not installed."""
    try:
        return importlib.import_module("requests")
    except ImportError:
        raise missing("requests", "files", "Fetching weights") from None


def _download(requests: Any, url: str, part: Path, progress: Progress | None) -> None:
    """Append what is missing to ``part``; start again where the server does not answer with the rest."""
    there = part.stat().st_size if part.is_file() else 0
    headers = {"Range": f"bytes={there}-"} if there else {}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is missing, or what is there is no part of it: the checksum will tell
        answer.raise_for_status()
        resumed = answer.status_code == requests.codes.partial_content
        if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {there}-"):
            raise requests.RequestException("the server sent another part than the one that is missing")
        there = there if resumed else 0
        length = answer.headers.get("Content-Length", "")
        total = there + int(length) if length.isdecimal() else None
        with open(part, "ab" if resumed else "wb") as file:
            _receive(requests, answer, file, there, total, progress)


def _receive(
    requests: Any, answer: Any, file: BinaryIO, there: int, total: int | None, progress: Progress | None
) -> None:
    for piece in answer.iter_content(PIECE):
        file.write(piece)
        there += len(piece)
        if progress:
            progress(there, total)
        if there > SIZE_LIMIT:
            raise requests.RequestException(f"the server sent more than {SIZE_LIMIT} bytes")
    file.flush()
    os.fsync(file.fileno())
    if total is not None and there < total:
        raise requests.RequestException(f"the connection broke after {there} of {total} bytes")


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest()


def _reason(requests: Any, error: Exception, url: str) -> str:
    """What went wrong, in a few words. A failed connection's own are a chain of urllib3's objects."""
    host = urlsplit(url).hostname
    if isinstance(error, requests.exceptions.SSLError):
        return f"the certificate of {host} cannot be checked"
    if isinstance(error, requests.Timeout):
        return f"{host} does not answer"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"the connection to {host} broke"
    if isinstance(error, requests.ConnectionError):
        return f"no connection to {host} (is there a network?)"
    return f"{error}"[:300]


def _give_up(wanted: Published, target: Path, reason: str) -> NoReturn:
    raise LoadError(
        f"Cannot fetch '{wanted.file}' from {wanted.url}: {reason}. Try again: it goes on where it broke off. Or "
        f"download it elsewhere and put it at '{target}' (SHA-256 {wanted.sha256})."
    )
