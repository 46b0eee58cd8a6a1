"""A compiled function as bytes, and back, in milliseconds: what ``jit_cache`` writes into its files.

Numba can do both, but before it loads anything it prepares to compile: 0.17 seconds, most of them for SciPy's linear
algebra. Then it parses the function's bitcode, LLVM's own form of the code, which is there for other functions that
are compiled later and call this one: half of the time that is left. Finished machine code needs neither, only the
addresses of the functions it calls; so both are done when something asks for them (``benchmarks/NOTES.md``,
"Start-up").

The bytes are a pickle, as Numba's are: reading them runs what they say.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
from typing import Any


def to_bytes(result: Any) -> bytes:
    """A compile result, with the names of what it needs and of what it has, and with what must be started before it
    runs."""
    from numba.core.serialize import dumps

    module = result.library._final_module
    names: dict[bool, list[str]] = {True: [], False: []}  # of functions and variables: are they only declared here?
    for value in (*module.functions, *module.global_variables):
        names[value.is_declaration].append(value.name)
    needed = [name for name in names[True] if not name.startswith("llvm.")]
    content: bytes = dumps((needed, names[False], result.reload_init, result._reduce()))
    return content


def from_bytes(content: bytes, target: Any) -> Any:
    """``to_bytes``, back again. Numba's full preparation for compiling only if something it would provide is missing.

    Raises LookupError if it is missing even then: code that calls what has no address ends the process.
    """
    from llvmlite.binding import address_of_symbol
    from numba.core.compiler import CompileResult

    needed, own, start, (library, *rest) = _Unpickler(io.BytesIO(content)).load()
    for function in start:  # the thread pool, for parallel loops
        function()
    _register_runtime()
    if not all(map(address_of_symbol, needed)):
        target.refresh()
        if not all(map(address_of_symbol, needed)):
            raise LookupError("a function or variable that is nowhere: of two functions that call each other, perhaps")
    name, kind, (machine_code, bitcode) = library
    target.codegen()._engine._defined_symbols.update(own)  # Numba reads these names from the bitcode
    result = CompileResult._rebuild(target, (name, kind, (machine_code, _empty_bitcode())), *rest)
    result.library._reload_init.update(start)  # for the files of functions that call this one
    result.library._get_module_for_linking = functools.cache(functools.partial(_parsed, bitcode))
    return result


@functools.cache
def _empty_bitcode() -> bytes:
    from llvmlite.binding import parse_assembly

    content: bytes = parse_assembly("").as_bitcode()
    return content


def _parsed(bitcode: bytes) -> Any:
    """The code for functions that call this one: asked for only if such a function is compiled in this process."""
    from llvmlite.binding import parse_bitcode

    return parse_bitcode(bitcode)


class _Unpickler(pickle.Unpickler):
    """Reads what ``to_bytes`` wrote. Numba would import the modules of every function that was pasted in."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numba.core.environment", "_rebuild_env"):
            return _rebuild_environment
        return super().find_class(module, name)


def _rebuild_environment(module: str, constants: list[Any], name: str) -> Any:
    """The Python objects that a compiled function can reach: constants of its errors, and the globals of its module.

    Only code outside nopython mode asks for globals, and among Numba's own functions there is none. So those modules
    of Numba are not imported for it.
    """
    from numba.core.environment import Environment, _rebuild_env, lookup_environment

    if lookup_environment(name) or module in sys.modules or not module.startswith("numba."):
        return _rebuild_env(module, constants, name)
    environment = Environment({"__name__": module})
    environment.consts[:] = constants
    environment.env_name = name
    Environment._memo[name] = environment
    return environment


@functools.cache
def _register_runtime() -> None:
    """Tell LLVM where Numba's C functions for arrays are; Numba itself does it together with much that takes time."""
    from llvmlite.binding import add_symbol
    from numba.core.runtime import _nrt_python

    for name, address in _nrt_python.c_helpers.items():
        add_symbol(name if name.startswith("_") else f"NRT_{name}", address)
