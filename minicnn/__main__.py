"""The command ``minicnn``, also as ``python -m minicnn`` where it is not on the path."""

import signal
import sys


def main() -> None:
    """Import the commands, which takes a moment, and run one: interrupted in that moment, it ends as at any other."""
    try:
        from minicnn.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
