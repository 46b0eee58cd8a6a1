"""Where the page's own files are: HTML, style and scripts, as they are sent, with no step to build them."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).with_name("static")
