"""``python -m minicnn.cli``: the command ``minicnn`` where it is not on the path."""

from minicnn.cli.main import main

main()
