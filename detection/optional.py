"""OpenCV and dlib, imported when they are first needed.

Both are large and optional (the extra ``faces``). Every other file of this package asks here, inside a function, so
that importing ``detection`` costs nothing, and a missing package is reported with the command that installs it.
"""

from __future__ import annotations

import importlib
from typing import Any

from minicnn.errors import MissingDependencyError, missing


def load_cv2(purpose: str) -> Any:
    """The module ``cv2``. ``purpose`` says what needs it: "Reading photographs". Raises MissingDependencyError."""
    fix = "In a container or on a server, install opencv-python-headless in place of opencv-python."
    return _load("cv2", "opencv-python-headless", purpose, fix)


def load_dlib(purpose: str) -> Any:
    """The module ``dlib``, which the wheel ``dlib-bin`` brings compiled. Raises MissingDependencyError."""
    return _load("dlib", "dlib-bin", purpose, "Install dlib-bin in place of dlib: the same module, already compiled.")


def _load(module: str, package: str, purpose: str, fix: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise missing(package, "faces", purpose) from None
        raise MissingDependencyError(f"{purpose} needs '{module}', which is incomplete: {error}. {fix}") from error
    except ImportError as error:  # it is there but does not load: a system library is missing
        raise MissingDependencyError(f"{purpose} needs '{module}', which does not load: {error}. {fix}") from error
