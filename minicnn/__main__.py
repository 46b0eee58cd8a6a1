"""``python -m minicnn``: the command ``minicnn`` where it is not on the path."""

from minicnn.cli.main import main

if __name__ == "__main__":
    main()
