"""Permissions bind everybody but root, and tests often run as root: so a process gives up the power to ignore them.

On Linux that power is a capability of its own, CAP_DAC_OVERRIDE. A process that strikes it from its bounding set cannot
get it back when it starts a program, whoever it belongs to; all else, its files included, stays root's.
"""

from __future__ import annotations

import os
import sys

import pytest

_OBEY = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0):
    sys.exit(f"root cannot give up its power here: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[1], sys.argv[1:])
"""


def obeying() -> tuple[str, ...]:
    """Words to put before a command, so that permissions of files and folders bind it; none where they do anyway."""
    if os.name != "posix":
        pytest.skip("permissions of folders do not work like this here")
    if os.geteuid() != 0:
        return ()
    if not sys.platform.startswith("linux"):
        pytest.skip("root writes everywhere, and only Linux has a way to give that up")
    return (sys.executable, "-c", _OBEY)
