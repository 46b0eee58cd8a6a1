"""The optimisers' formulas, compiled: one pass over the parameters, by all cores.

``update`` in each optimiser's file is the definition, written with whole arrays. Here the same formulas stand for one
number after the other. NumPy needs a pass over memory for every operation (Adam: about twelve), on one core; a compiled
loop reads each number of the parameter, the gradient and the slots once, computes, and writes it once.

Parameters are updated block by block. Where the gradient comes as factors (``ops/gradients.py``), its block is computed
first; clipping and weight decay pass over the block too; all that happens in the cache. Each block is one core's, and
its numbers depend on nothing else: the bits are the same for any number of threads.

Numbers of a formula come as one tuple, in the parameters' dtype, in the order in which the formula unpacks them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import config

from minicnn.ops.gemm import pack
from minicnn.ops.gradients import BLOCK, OuterProducts, block_rows, outer_products
from minicnn.ops.jit import njit, prange
from minicnn.ops.turns import turns
from minicnn.shapes import Array

COMPILED = not config.DISABLE_JIT

SGD, MOMENTUM, RMSPROP, ADAGRAD, ADAM = range(5)
TURNS = 64  # among which the cores choose: each is many blocks and brings its own room for a block of the gradient


class Formula(NamedTuple):
    """Which of the formulas below, its slots in the order of its arguments (None: not used), and its numbers."""

    kind: int
    slots: tuple[Array | None, ...]
    numbers: tuple[float, ...]


def step(p: Array, g: Array | OuterProducts, formula: Formula, scale: float, limit: float, decay: float) -> None:
    """One update of ``p`` and its slots, all C-contiguous.

    First g is multiplied with ``scale`` and cut off at +-``limit`` (1 and inf: it is not), and p loses ``decay`` * p.
    """
    number = p.dtype.type
    nothing = np.zeros((0, 0, 0), p.dtype)
    if isinstance(g, OuterProducts):
        written, x, panels, size = nothing.reshape(-1), g.x, pack(g.dy), block_rows(g.shape) * g.shape[1]
    else:
        written, x, panels, size = np.ascontiguousarray(g).reshape(-1), nothing.reshape(0, 0), nothing, BLOCK
    slots = [nothing.reshape(-1) if slot is None else slot.reshape(-1) for slot in formula.slots]
    slots += [nothing.reshape(-1)] * (3 - len(slots))
    numbers = [number(value) for value in formula.numbers] + [number(0)] * (5 - len(formula.numbers))
    work = p.nbytes * (2 + 2 * len(formula.slots))
    row = p.shape[-1] if p.ndim else 1
    limits = number(scale), number(limit), number(decay)
    _step(work, formula.kind, p.reshape(-1), written, x, panels, row, size, *slots, limits, tuple(numbers))


@turns
def _step(
    kind: int,
    p: Array,
    g: Array,
    x: Array,
    panels: Array,
    row: int,
    size: int,
    first: Array,
    second: Array,
    third: Array,
    limits: Any,
    numbers: Any,
) -> None:
    scale, limit, decay = limits
    blocks = (p.size + size - 1) // size
    together = (blocks + TURNS - 1) // TURNS
    changed = scale != 1.0 or limit < np.inf  # false for no NaN: a length that is NaN makes every step NaN
    for turn in prange((blocks + together - 1) // together):
        buffer = np.empty(size if changed or g.size == 0 else 0, p.dtype)
        for block in range(turn * together, min(blocks, (turn + 1) * together)):
            start, stop = block * size, min(p.size, (block + 1) * size)
            part = g[start:stop]
            if g.size == 0:
                part = buffer[: stop - start]
                outer_products(x, panels, start // row, (stop - start) // row, row, part, 0)
            if changed:
                _clip(part, buffer, scale, limit)
                part = buffer[: stop - start]
            moved = p[start:stop]
            if decay != 0.0:
                _decay(moved, decay)
            _update(kind, moved, part, first[start:stop], second[start:stop], third[start:stop], numbers)


@njit
def _clip(g: Array, clipped: Array, scale: float, limit: float) -> None:
    """``g`` scaled, then cut off. NaN stays."""
    for i in range(len(g)):
        value = g[i] * scale
        value = limit if value > limit else value
        clipped[i] = -limit if value < -limit else value


@njit
def _decay(p: Array, decay: float) -> None:
    for i in range(len(p)):
        p[i] -= p[i] * decay


@njit
def _update(kind: int, p: Array, g: Array, first: Array, second: Array, third: Array, numbers: Any) -> None:
    if kind == SGD:
        _sgd(p, g, numbers)
    elif kind == MOMENTUM:
        _momentum(p, g, first, numbers)
    elif kind == RMSPROP:
        _rmsprop(p, g, first, second, third, numbers)
    elif kind == ADAGRAD:
        _adagrad(p, g, first, numbers)
    elif kind == ADAM:
        _adam(p, g, first, second, third, numbers)


@njit
def _sgd(p: Array, g: Array, numbers: Any) -> None:
    rate = numbers[0]
    for i in range(len(p)):
        p[i] -= rate * g[i]


@njit
def _momentum(p: Array, g: Array, m: Array, numbers: Any) -> None:
    rate, momentum, nesterov, _, _ = numbers
    for i in range(len(p)):
        step = rate * g[i]
        moved = momentum * m[i] - step
        m[i] = moved
        p[i] += momentum * moved - step if nesterov else moved


@njit
def _rmsprop(p: Array, g: Array, v: Array, m: Array, a: Array, numbers: Any) -> None:
    rate, rho, fresh, epsilon, momentum = numbers
    for i in range(len(p)):
        slope = g[i]
        spread = rho * v[i] + fresh * (slope * slope)
        v[i] = spread
        if a.size > 0:
            mean = rho * a[i] + fresh * slope
            a[i] = mean
            spread -= mean * mean
        step = rate * slope / math.sqrt(spread + epsilon)
        if m.size > 0:
            step += momentum * m[i]
            m[i] = step
        p[i] -= step


@njit
def _adagrad(p: Array, g: Array, a: Array, numbers: Any) -> None:
    rate, epsilon, _, _, _ = numbers
    for i in range(len(p)):
        slope = g[i]
        total = a[i] + slope * slope
        a[i] = total
        p[i] -= rate * slope / math.sqrt(total + epsilon)


@njit
def _adam(p: Array, g: Array, m: Array, v: Array, hat: Array, numbers: Any) -> None:
    rate, fresh_mean, fresh_square, epsilon, _ = numbers
    for i in range(len(p)):
        slope = g[i]
        mean = m[i] + fresh_mean * (slope - m[i])
        square = v[i] + fresh_square * (slope * slope - v[i])
        m[i], v[i] = mean, square
        if hat.size > 0:
            square = square if square > hat[i] or square != square else hat[i]
            hat[i] = square
        p[i] -= rate * mean / (math.sqrt(square) + epsilon)
