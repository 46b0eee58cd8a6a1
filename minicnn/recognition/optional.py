"""scikit-learn, imported when it is first needed.

It is optional (the extra ``recognise``) and takes a second to load. Metrics that it has are taken from it: they are
used and checked by far more people than ours would be.
"""

from __future__ import annotations

import importlib
from typing import Any

from minicnn.errors import missing


def load_sklearn(module: str, purpose: str) -> Any:
    """``sklearn.<module>``. ``purpose`` says what needs it: "Evaluating a network". Raises MissingDependencyError."""
    try:
        return importlib.import_module(f"sklearn.{module}")
    except ImportError:
        raise missing("scikit-learn", "recognise", purpose) from None
