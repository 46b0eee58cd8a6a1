"""How the pooling layers explain themselves: a maximum as its window and who won it, a mean as its window divided.

A maximum is a sum in which the winner counts 1 and all others 0. Where several are the largest, max pooling lets the
first win; global max pooling does so forward too, but backward splits the gradient evenly (see ``ops``).
"""

from __future__ import annotations

import numpy as np

from minicnn.layers import AveragePooling2D, GlobalAveragePooling2D, GlobalMaxPooling2D, MaxPooling2D
from minicnn.shapes import Array
from minicnn.study.explanation import Index, Terms, Worked
from minicnn.study.places import at, combinations, taken
from minicnn.study.use import Rule, Use, worked_out

WINNER = "winner"  # 1 or 0; of a tie in global max pooling backward, a share


def _window(use: Use, n: int, oh: int, ow: int, c: int) -> Array:
    """The places inside the picture that one window sees, in reading order."""
    down, across = use.layer.window.reads(*use.xs[0].shape[1:3])
    _, _, h, _, _, w = combinations(down[down[:, 0] == oh], across[across[:, 0] == ow])
    return at(n, h, w, c)


def _windows_over(use: Use, index: Index) -> Array:
    """The outputs whose windows see the place ``index``."""
    n, h, w, c = index
    down, across = use.layer.window.reads(*use.xs[0].shape[1:3])
    oh, _, _, ow, _, _ = combinations(down[down[:, 2] == h], across[across[:, 2] == w])
    return at(n, oh, ow, c)


def _picture(use: Use, n: int, c: int) -> Array:
    """All places of one channel of one picture."""
    h, w = combinations(*map(range, use.xs[0].shape[1:3]))
    return at(n, h, w, c)


def _output(use: Use, n: int, c: int) -> Array:
    """Where global pooling keeps its number of one channel of one picture."""
    return at(n, 0, 0, c) if use.layer.keepdims else at(n, c)


def _largest(use: Use, positions: Array, formula: str) -> Worked:
    x = use.x(positions)
    wins = np.zeros(len(positions))
    wins[x.values.argmax()] = 1  # the first of the largest; NaN is larger than everything
    return Worked(formula, (Terms.chosen(x, worked_out(WINNER, wins)),))


def _mean(use: Use, positions: Array, formula: str) -> Worked:
    share = worked_out(f"1/{len(positions)}", np.full(len(positions), 1 / len(positions)))
    return Worked(formula, (Terms.of(use.x(positions), share),))


def _max(use: Use, index: Index) -> Worked:
    n, oh, ow, c = index
    return _largest(use, _window(use, n, oh, ow, c), "y = the largest x of the window")


def _max_input(use: Use, index: Index, source: int) -> Worked:
    outputs = _windows_over(use, index)
    wins = []
    for n, oh, ow, c in outputs.tolist():
        window = _window(use, n, oh, ow, c)
        wins.append(tuple(window[taken(use.xs[0], window).argmax()]) == index)
    terms = Terms.chosen(use.upstream(outputs), worked_out(WINNER, wins))
    return Worked("dx = sum of dy over the windows that x won", (terms,))


def _average(use: Use, index: Index) -> Worked:
    n, oh, ow, c = index
    return _mean(use, _window(use, n, oh, ow, c), "y = the mean of the window's x, padding not counted")


def _average_input(use: Use, index: Index, source: int) -> Worked:
    outputs = _windows_over(use, index)
    sizes = np.array([len(_window(use, n, oh, ow, c)) for n, oh, ow, c in outputs.tolist()])
    terms = Terms.of(use.upstream(outputs), worked_out("1/(numbers in the window)", 1 / sizes))
    return Worked("dx = sum of dy / (numbers in the window) over the windows that saw x", (terms,))


def _global_max(use: Use, index: Index) -> Worked:
    return _largest(use, _picture(use, index[0], index[-1]), "y = the largest x of the channel")


def _global_max_input(use: Use, index: Index, source: int) -> Worked:
    n, _, _, c = index
    channel = taken(use.xs[0], _picture(use, n, c))
    largest = channel == channel.max()
    share = float(use.xs[0][index] == channel.max()) / largest.sum() if largest.any() else np.nan
    formula = "dx = dy / (how many are the largest) where x is the largest, else 0"
    return Worked(formula, (Terms.of(use.upstream(_output(use, n, c)), worked_out(WINNER, share)),))


def _global_average(use: Use, index: Index) -> Worked:
    return _mean(use, _picture(use, index[0], index[-1]), "y = the mean of the channel")


def _global_average_input(use: Use, index: Index, source: int) -> Worked:
    n, _, _, c = index
    pixels = use.xs[0].shape[1] * use.xs[0].shape[2]
    terms = Terms.of(use.upstream(_output(use, n, c)), worked_out(f"1/{pixels}", 1 / pixels))
    return Worked("dx = dy / (numbers in the channel)", (terms,))


RULES = {
    MaxPooling2D: Rule(_max, _max_input),
    AveragePooling2D: Rule(_average, _average_input),
    GlobalMaxPooling2D: Rule(_global_max, _global_max_input),
    GlobalAveragePooling2D: Rule(_global_average, _global_average_input),
}
