"""Compiled code on disk, in every situation in which a cache goes wrong: each one made to happen, in processes of its
own, to a small package of compiled functions.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.permissions import obeying

ROOT = Path(__file__).resolve().parents[3]

SOURCES = {
    "__init__": "",
    "constants": "FACTOR = 2.0\n",
    "other": "NOTHING = 0\n",
    "callee": """
from minicnn.ops.jit import inline
from kernels.constants import (
    FACTOR,
)

@inline
def scaled(x):
    return FACTOR * x
""",
    "caller": """
import numpy as np
from minicnn.ops.jit import njit, njit_parallel, prange
from kernels.callee import scaled

@njit_parallel
def double(x):
    y = np.empty_like(x)
    for i in prange(len(x)):
        y[i] = scaled(x[i])
    return y

def compile_plus(step, scale):
    @njit
    def plus(x):
        return scale(x) + step
    return plus
""",
}

CALLS = """
from minicnn.ops.jit import njit, njit_parallel, prange
from kernels.caller import double
import numpy as np

@njit
def double_and_one(x):
    return double(x) + 1

@njit
def even(n):
    if n == 0:
        return True
    return odd(n - 1)

@njit
def odd(n):
    if n == 0:
        return False
    return even(n - 1)

def sums(x):
    y = np.empty_like(x)
    for i in prange(len(x)):
        y[i] = x[i] + x[i]
    return y

alone, together = njit(sums), njit_parallel(sums)
"""

# The warm-up of every process: the same functions, and what became of them.
SCRIPT = """
import json, sys, warnings
import numpy as np
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    from kernels.caller import compile_plus, double, scaled
    functions = [double, compile_plus(1.0, scaled), compile_plus(10.0, scaled)]
    results = [functions[0](np.ones(3))[2], functions[1](1.0), functions[2](1.0)]
print(json.dumps({
    "results": results,
    "found": [sum(f.stats.cache_hits.values()) for f in functions if hasattr(f, "stats")],
    "warnings": [str(w.message) for w in caught if "compiled code" in str(w.message)],
    "compiler": "scipy.linalg" in sys.modules,
}))
"""
pytestmark = pytest.mark.slow  # some fifty processes, most of which compile

RIGHT = [2.0, 3.0, 12.0]
FOUND, COMPILED = [1, 1, 1], [0, 0, 0]

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "kernels"
    folder.mkdir()
    for name, source in SOURCES.items():
        (folder / f"{name}.py").write_text(source)
    return folder


@pytest.fixture
def start(package: Path) -> Callable[..., subprocess.Popen[str]]:
    """Start a process that compiles or finds the functions. Its environment has no cache folder but the one given."""

    def start(*before: str, script: str = SCRIPT, **variables: str) -> subprocess.Popen[str]:
        dropped = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
        environment = {k: v for k, v in os.environ.items() if k not in dropped}
        environment |= {"HOME": str(package.parent / "home"), "PYTHONPATH": f"{ROOT}{os.pathsep}{package.parent}"}
        # Python's own cache judges by time stamps, which edits within one second do not change.
        environment |= {"PYTHONDONTWRITEBYTECODE": "1", **variables}
        command = [*before, sys.executable, "-c", script]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[str]]) -> Run:
    return lambda *before, **options: finish(start(*before, **options))


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    said: dict[str, Any] = json.loads(out)
    return said


def kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.jit*"))


def test_the_second_process_compiles_nothing_and_loads_no_compiler(package: Path, run: Run) -> None:
    first = run()
    assert (first["results"], first["found"], first["warnings"]) == (RIGHT, COMPILED, [])
    assert len(kept(package / "__pycache__")) == 3
    second = run()
    assert (second["results"], second["found"], second["warnings"]) == (RIGHT, FOUND, [])
    assert first["compiler"] is True
    assert second["compiler"] is False


def in_turn(run: Run, *programs: str) -> list[Any]:
    """What each program, in a process of its own, leaves in ``results``; all of them use the package."""
    before = "import json\nimport numpy as np\nfrom minicnn.ops.jit import njit\nfrom kernels.caller import *\n"
    after = "\nprint(json.dumps(results))"
    return [run(script=before + program + after) for program in programs]


def test_a_function_compiled_later_calls_one_that_was_found(run: Run) -> None:
    keep = "results = compile_plus(1.0, scaled)(1.0)"
    call = """
plus = compile_plus(1.0, scaled)
before = plus(1.0)

@njit
def twice(x):
    return plus(plus(x))

results = [before, twice(1.0), sum(plus.stats.cache_hits.values())]
"""
    assert in_turn(run, keep, call) == [3.0, [3.0, 7.0, 1]]


def test_who_wants_to_know_is_told_once_before_something_is_compiled(run: Run) -> None:
    program = """
from minicnn.ops import jit_cache

told = []
with jit_cache.before_compiling(lambda: told.append(jit_cache.counts["compiled"])):
    double(np.ones(3)), double(np.ones(3, np.float32))
results = [list(told)]
with jit_cache.before_compiling(lambda: told.append("again")):
    pass
double(np.ones((3, 3))[0]), double(np.ones(3, np.int64))
results += [told, jit_cache.counts["compiled"]]
"""
    assert in_turn(run, program, program) == [[[0], [0], 3], [[], [], 0]]


def test_functions_of_one_name_from_two_processes_meet_in_a_third(run: Run) -> None:
    meet = """
one, ten = compile_plus(1.0, scaled), compile_plus(10.0, scaled)
one(1.0), ten(1.0)

@njit
def both(x):
    return one(x) + 100 * ten(x)

results = [both(1.0), *(sum(f.stats.cache_hits.values()) for f in (one, ten))]
"""
    keep = [f"results = compile_plus({step}, scaled)(1.0)" for step in (1.0, 10.0)]
    assert in_turn(run, *keep, meet) == [3.0, 12.0, [1203.0, 1, 1]]


def test_a_kept_function_starts_the_threads_of_those_it_calls(package: Path, run: Run) -> None:
    (package / "calls.py").write_text(CALLS)
    first = "results = double(np.ones(3)).tolist()"
    then = "from kernels.calls import double_and_one\nresults = double_and_one(np.ones(3)).tolist()"
    assert in_turn(run, first, then, then) == [[2.0] * 3, [3.0] * 3, [3.0] * 3]
    assert len(kept(package)) == 2


def test_functions_that_call_each_other_are_compiled_anew(package: Path, run: Run) -> None:
    (package / "calls.py").write_text(CALLS)
    assert in_turn(run, *["from kernels.calls import even\nresults = even(6)"] * 2) == [True, True]


def test_one_function_compiled_in_two_ways_is_kept_twice(package: Path, run: Run) -> None:
    (package / "calls.py").write_text(CALLS)
    ways = """
from kernels.calls import alone, together
results = [[f(np.ones(3)).tolist(), sum(f.stats.cache_hits.values())] for f in (alone, together)]
"""
    assert in_turn(run, ways, ways) == [[[[2.0] * 3, found]] * 2 for found in (0, 1)]
    assert len(kept(package)) == 2


def test_another_package_of_the_same_name_has_files_of_its_own(package: Path, run: Run, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere" / "kernels"
    shutil.copytree(package, other)
    (other / "constants.py").write_text("FACTOR = 5.0\n")
    exchange = f"""
import importlib, sys
results = [scaled(1.0)]
for name in [name for name in sys.modules if name.split(".")[0] == "kernels"]:
    del sys.modules[name]
sys.path.insert(0, {str(other.parent)!r})
importlib.invalidate_caches()
from kernels.callee import scaled
results += [scaled(1.0)]
"""
    assert in_turn(run, exchange, exchange) == [[2.0, 5.0]] * 2


@pytest.mark.parametrize(
    "file, old, new, results",
    [
        ("caller", "+ step", "- step", [2.0, 1.0, -8.0]),
        ("callee", "FACTOR * x", "FACTOR * x * x + 1", [3.0, 4.0, 13.0]),
        ("constants", "2.0", "5.0", [5.0, 6.0, 15.0]),
    ],
)
def test_an_edit_counts_wherever_it_was_made(
    package: Path, run: Run, file: str, old: str, new: str, results: list[float]
) -> None:
    run()
    path = package / f"{file}.py"
    path.write_text(path.read_text().replace(old, new))
    edited = run()
    assert (edited["results"], edited["found"]) == (results, COMPILED)
    assert len(kept(package)) == 3  # the outdated ones are gone
    assert run()["found"] == FOUND


def test_an_edit_elsewhere_compiles_nothing(package: Path, run: Run) -> None:
    run()
    (package / "other.py").write_text("NOTHING = 1\n")
    assert run()["found"] == FOUND


@pytest.mark.parametrize("damage", ["empty", "cut short", "one bit", "another file's"])
def test_a_damaged_file_is_compiled_anew(package: Path, run: Run, damage: str) -> None:
    run()
    paths = kept(package)
    whole = [path.read_bytes() for path in paths]
    for path, data, other in zip(paths, whole, whole[1:] + whole[:1], strict=True):
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        bad = {"empty": b"", "cut short": data[:middle], "one bit": flipped, "another file's": other[:100] + data[100:]}
        path.write_bytes(bad[damage])
    again = run()
    assert (again["results"], again["found"], again["warnings"]) == (RIGHT, COMPILED, [])
    assert run()["found"] == FOUND


def test_processes_that_compile_at_the_same_time(
    package: Path, start: Callable[..., subprocess.Popen[str]], run: Run
) -> None:
    for said in map(finish, [start() for _ in range(4)]):
        assert said["results"] == RIGHT
        assert not said["warnings"]
    assert len(kept(package)) == 3  # nothing half-written is left
    assert run()["found"] == FOUND


def test_a_folder_that_can_only_be_read_is_read(package: Path, run: Run) -> None:
    run()
    before = obeying()
    (package / "__pycache__" / "jit").chmod(0o555)
    said = run(*before)
    assert (said["results"], said["found"], said["warnings"]) == (RIGHT, FOUND, [])


def test_beside_sources_that_can_only_be_read_the_users_folder_takes_over(
    package: Path, run: Run, tmp_path: Path
) -> None:
    before = obeying()
    package.chmod(0o555)
    assert run(*before)["warnings"] == []
    assert not kept(package)
    assert len(kept(tmp_path / "home")) == 3
    assert run(*before)["found"] == FOUND


def test_nowhere_to_write_is_one_warning(package: Path, run: Run, tmp_path: Path) -> None:
    before = obeying()
    (tmp_path / "home").mkdir(mode=0o555)
    package.chmod(0o555)
    for _ in range(2):
        said = run(*before)
        assert (said["results"], said["found"]) == (RIGHT, COMPILED)
        assert len(said["warnings"]) == 1
        assert "NUMBA_CACHE_DIR" in said["warnings"][0]


def test_a_user_without_a_home(package: Path, run: Run, tmp_path: Path) -> None:
    homeless = "import os, pwd; del os.environ['HOME']; pwd.getpwuid = lambda uid: {}[uid]\n" + SCRIPT
    assert run(script=homeless)["warnings"] == []  # beside the sources
    before = obeying()
    shutil.rmtree(package / "__pycache__")
    package.chmod(0o555)
    said = run(*before, script=homeless)
    assert said["results"] == RIGHT
    assert len(said["warnings"]) == 1


def test_a_full_disk_is_one_warning_and_leaves_nothing_behind(package: Path, run: Run) -> None:
    pytest.importorskip("resource", reason="limits the size of files, which Windows cannot")
    full = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""
    said = run(script=full + SCRIPT)
    assert said["results"] == RIGHT
    assert len(said["warnings"]) == 1
    assert not kept(package.parent)


def test_a_chosen_folder_is_the_only_one(package: Path, run: Run, tmp_path: Path) -> None:
    chosen = {"NUMBA_CACHE_DIR": str(tmp_path / "chosen")}
    run(**chosen)
    assert len(kept(tmp_path / "chosen")) == len(kept(tmp_path)) == 3
    assert run(**chosen)["found"] == FOUND
    (tmp_path / "file").write_text("")
    said = run(NUMBA_CACHE_DIR=str(tmp_path / "file" / "below"))
    assert (said["results"], len(said["warnings"])) == (RIGHT, 1)


def test_different_processors_share_a_folder(package: Path, run: Run) -> None:
    other = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    run()
    assert run(**other)["found"] == COMPILED
    assert len(kept(package)) == 6
    assert run()["found"] == run(**other)["found"] == FOUND


def test_without_a_compiler_nothing_is_kept(package: Path, run: Run) -> None:
    said = run(NUMBA_DISABLE_JIT="1")
    assert (said["results"], said["found"]) == (RIGHT, [])
    assert not kept(package)
