"""The command ``minicnn``: one thin file per command.

A command turns words on a command line into arguments, calls a library, and shows what comes back: as a table for
people, or with ``--json`` as data for programs. ``main`` puts the commands together, ``console`` shows things.
Nothing here computes; what a command needs is imported when it runs, so ``minicnn --help`` is there at once.
"""
