"""What each layer costs. TEMPORARY."""

from __future__ import annotations

from typing import Any

from minicnn.explorer.scene import Scene


def measured_costs(scene: Scene) -> dict[str, Any]:
    return {"layers": [], "seconds": 0.0, "threads": 1, "repeats": 1, "peak": 1.0, "bandwidth": 1.0}
