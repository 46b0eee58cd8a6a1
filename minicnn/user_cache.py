"""Where things are kept that could be made again: compiled code, embeddings of photographs.

Each operating system has a place for it, which the user may empty at any time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def user_cache(name: str) -> Path | None:
    """The folder ``minicnn/NAME`` in the user's cache; it need not exist.

    None for a user without a home, such as a service in a container.
    """
    if sys.platform == "win32":
        place = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        place = os.path.expanduser("~/Library/Caches")
    else:
        place = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(place, "minicnn", name) if os.path.isabs(place) else None
