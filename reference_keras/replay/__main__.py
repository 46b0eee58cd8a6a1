"""``python -m reference_keras.replay > tests/parity/keras_tests.json``: every case and its outcome, as JSON."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec

from reference_keras.backend import load_keras


def main() -> None:
    """Replay all files; progress and failures go to stderr."""
    if not find_spec("pytest"):
        sys.exit("Keras's tests are written for pytest, which is not installed: pip install pytest")
    from reference_keras.replay.runner import FILES, replay

    cases: dict[str, dict[str, str]] = {}
    failed = 0
    for file in FILES:
        outcomes = list(replay(file))
        cases[file] = {
            outcome.case.partition(":")[2]: outcome.reason for outcome in outcomes if outcome.result != "failed"
        }
        counts = {result: sum(o.result == result for o in outcomes) for result in ("passed", "left out", "failed")}
        print(f"{file}: {counts}", file=sys.stderr)
        for outcome in outcomes:
            if outcome.result == "failed":
                failed += 1
                print(f"  {outcome.case}: {outcome.reason}", file=sys.stderr)
    print(json.dumps({"keras": load_keras().__version__, "cases": cases}, indent=1, ensure_ascii=False))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
