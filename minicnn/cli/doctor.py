"""``minicnn doctor``: what is installed, what is in force, what is missing, and the command that mends it."""

from __future__ import annotations

import typer
from rich.text import Text

from minicnn.cli import console
from minicnn.errors import MinicnnError

STYLES = {"ok": "green", "missing": "cyan", "warning": "yellow", "broken": "bold red"}


def doctor(json: console.Json = False) -> None:
    """Check the installation: versions, Keras's backend, threads, SIMD, the JIT cache, and what is missing.

    Exit code 1 if something required is broken. What is optional may be missing: the command that installs it is shown.

    Example:  minicnn doctor --json
    """
    from minicnn import environment, health

    described = environment.describe()
    keras = _keras_backend()
    findings = health.diagnose(described, keras, _load_failures())
    ok = not health.broken(findings)
    if json:
        console.print_json({"ok": ok, "findings": [f.to_dict() for f in findings], "keras": keras, **described})
    else:
        rows = [(f.subject, Text(f.verdict, STYLES[f.verdict]), f.found) for f in findings]
        columns = [console.Column("Subject"), console.Column("Verdict"), console.Column("Found")]
        console.table("minicnn doctor", columns, rows)
        for finding in findings:
            if finding.fix:
                console.out().print(Text.assemble((f"{finding.subject}: ", "bold"), finding.fix), soft_wrap=True)
    if not ok:
        raise typer.Exit(console.FAILED)


def _keras_backend() -> dict[str, str]:
    """What Keras will choose, and who says so; found out without importing Keras."""
    from reference_keras.backend import backend_choice, keras_json_path

    path = keras_json_path()
    known = {"keras_json": str(path), "keras_json_exists": str(path.is_file()).lower()}
    try:
        return {**backend_choice()._asdict(), **known}
    except MinicnnError as error:  # the JSON file is damaged
        return {"error": str(error), **known}


def _load_failures() -> dict[str, str]:
    """dlib and OpenCV may be installed and not load, for want of a system library. Loading is the only way to know."""
    from detection.optional import load_cv2, load_dlib
    from minicnn.environment import version_of

    failures = {}
    for package, load in (("dlib-bin", load_dlib), ("opencv-python-headless", load_cv2)):
        try:
            load("Finding faces") if version_of(package) else None
        except MinicnnError as error:
            failures[package] = str(error)
    return failures
