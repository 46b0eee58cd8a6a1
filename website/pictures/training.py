"""Curves and statistics: activations, losses, normalisation, dropout, optimisers."""

from __future__ import annotations

import numpy as np

from minicnn.layers import BatchNormalization, Context, Layer
from minicnn.layers.activations import ELU, Activation, LeakyReLU, ReLU, Sigmoid, Tanh
from minicnn.losses import BinaryCrossentropy, CategoricalCrossentropy, Huber, MeanAbsoluteError, MeanSquaredError
from minicnn.ops import activations as ops
from minicnn.ops.dropout import dropout as drop
from minicnn.optimizers import SGD, Adam, RMSprop
from minicnn.report.plots import BAD, GOOD, INK, KERAS, LINE, MUTED, OURS
from website.pictures.sheet import grid, plots, sheet, square, words


def activations() -> str:
    """Six activations and their slopes."""
    x = np.linspace(-4, 4, 201)[None]
    layers: list[Layer] = [ReLU(), LeakyReLU(), ELU(), Sigmoid(), Tanh(), Activation("gelu")]
    with plots(2, 3, 4.2, "activations") as (axes, drawing):
        for place, layer in zip(axes.flat, layers, strict=True):
            y, cache = layer.forward(x)
            place.plot(x[0], y[0], color=OURS, linewidth=2, label="y")
            place.plot(x[0], layer.backward(np.ones_like(x), cache)[0][0], color=KERAS, linestyle="--", label="dy/dx")
            place.set_title("gelu" if isinstance(layer, Activation) else type(layer).__name__, fontsize=9)
            place.tick_params(labelsize=8)
        axes[0, 0].legend(fontsize=8)
    return drawing.svg


def softmax() -> str:
    """Scores, probabilities, and the gradient of the cross-entropy."""
    logits, target = np.array([[2.0, 1.0, 0.2, -1.0]]), np.array([[0.0, 1.0, 0.0, 0.0]])
    probabilities = ops.softmax(logits)[0]
    loss = CategoricalCrossentropy(from_logits=True)
    value, cache = loss.forward(target, logits)
    shown = ((logits, "scores"), (probabilities, "softmax: probabilities"), (loss.backward(cache), "gradient: p − t"))
    with plots(1, 3, 2.4, "softmax") as (axes, drawing):
        for place, (numbers, title) in zip(axes.flat, shown, strict=True):
            colours = [GOOD if i == 1 else OURS for i in range(4)]
            bars = place.bar(range(4), numbers[0], color=colours)
            place.bar_label(bars, [f"{v:.2f}".replace("-", "−") for v in numbers[0]], fontsize=7.5, padding=2)
            place.set_title(title, fontsize=9)
            place.set_xticks(range(4), ["A", "B", "C", "D"])
            place.margins(y=0.22)
            place.tick_params(labelsize=8)
            place.axhline(0, color=MUTED, linewidth=0.8)
        axes[0, 0].set_xlabel(f"B is right; loss −log {probabilities[0, 1]:.2f} = {value:.2f}", fontsize=8)
    return drawing.svg


def losses() -> str:
    """Three losses of one prediction whose target is 1, and their slopes."""
    p = np.linspace(0.02, 0.999, 200)
    with plots(1, 2, 2.7, "losses") as (axes, drawing):
        for kind, colour in ((CategoricalCrossentropy, OURS), (BinaryCrossentropy, GOOD), (MeanSquaredError, KERAS)):
            rows = [_loss(kind, value) for value in p]
            style = "--" if kind is BinaryCrossentropy else "-"
            for place, numbers in zip(axes.flat, zip(*rows, strict=True), strict=True):
                place.plot(p, numbers, color=colour, linestyle=style, label=kind.__name__)
        axes[0, 0].set(xlabel="p, the prediction for what is there", ylabel="loss", ylim=(0, 4))
        axes[0, 1].set(xlabel="p", ylabel="dloss/dp", ylim=(-10, 1))
        axes[0, 0].legend(fontsize=7.5)
    return drawing.svg


def errors() -> str:
    """The losses for numbers over the error of one prediction, and their slopes."""
    p = np.linspace(-3, 3, 241)[:, None]
    with plots(1, 2, 2.7, "errors") as (axes, drawing):
        for loss, colour in ((MeanSquaredError(), KERAS), (MeanAbsoluteError(), GOOD), (Huber(), OURS)):
            each, cache = loss.losses(np.zeros_like(p), p)
            slopes = loss.dpredictions(np.ones_like(each), cache)
            for place, numbers in ((axes[0, 0], each), (axes[0, 1], slopes)):
                place.plot(p, numbers, color=colour, label=type(loss).__name__)
        axes[0, 0].set(xlabel="error: prediction - target", ylabel="loss", ylim=(0, 4))
        axes[0, 1].set(xlabel="error", ylabel="slope", ylim=(-3, 3))
        axes[0, 1].legend(fontsize=7.5, loc="lower right")
    return drawing.svg


def _loss(kind: type, p: float) -> tuple[float, float]:
    """The loss of probability ``p`` for what is there, and its slope; two classes where the loss is about classes."""
    both = kind is CategoricalCrossentropy
    targets, predictions = np.array([[1.0, 0.0] if both else [1.0]]), np.array([[p, 1 - p] if both else [p]])
    loss = kind()
    value, cache = loss.forward(targets, predictions)
    return value, float(loss.backward(cache)[0, 0])


def normalisations() -> str:
    """Which numbers share a mean and a variance."""
    with sheet(15.4, 6.8, "normalisations") as (axes, drawing):
        for left, title, together in (
            (0, "BatchNormalization", lambda n, c: c == 2),
            (5.3, "LayerNormalization", lambda n, c: n == 1),
            (10.6, "UnitNormalization", lambda n, c: n == 1),
        ):
            words(axes, (left, 0.3), title, size=8.5, where="left")
            for n, c in np.ndindex(4, 4):
                square(axes, (left + c, 0.8 + n), KERAS if together(n, c) else LINE, 0.55 if together(n, c) else 0.3)
        told = ("rows: pictures and their pixels; columns: channels", "orange: numbers that share their statistics")
        for line, text in enumerate(told):
            words(axes, (0, 5.3 + 0.7 * line), text, size=8.5, colour=MUTED, where="left")
    return drawing.svg


def batch_norm() -> str:
    """Three channels before and after."""
    rng = np.random.default_rng(3)
    x = rng.normal([2.0, -1.0, 0.5], [0.4, 1.5, 3.0], (2000, 3))
    layer = BatchNormalization()
    layer.build((3,), rng, np.float64)
    y, _ = layer.forward(x, Context(training=True))
    with plots(1, 2, 2.4, "batch-norm") as (axes, drawing):
        for place, numbers, title in zip(axes.flat, (x, y), ("before", "after: mean 0, variance 1"), strict=True):
            for channel, colour in enumerate((OURS, KERAS, GOOD)):
                place.hist(numbers[:, channel], np.linspace(-8, 8, 65), color=colour, alpha=0.55, linewidth=0)
            place.set_title(title, fontsize=9)
            place.set_yticks([])
    return drawing.svg


def dropout() -> str:
    """The same numbers in two steps of training, and in inference."""
    x = np.arange(1, 13, dtype=float).reshape(3, 4)
    with sheet(14.4, 4.4, "dropout") as (axes, drawing):
        for left, seed in ((0, 1), (5.1, 2)):
            y, cache = drop(x, 0.5, np.random.default_rng(seed))
            dropped = [tuple(index) for index in np.argwhere(~cache.keep)]
            grid(axes, y, (left, 1), title=f"training, step {seed}: kept x 2", marked=dropped, mark=BAD)
        grid(axes, x, (10.2, 1), title="inference: x itself")
    return drawing.svg


def optimisers() -> str:
    """Four ways down the same valley, 40 steps each."""
    steep, flat = 1.0, 0.06
    runs = (
        ("SGD", SGD(1.6), BAD),
        ("SGD, momentum 0.8", SGD(0.4, momentum=0.8), OURS),
        ("RMSprop", RMSprop(0.25), GOOD),
        ("Adam", Adam(0.4), KERAS),
    )
    with plots(2, 2, 4.6, "optimisers") as (axes, drawing):
        u, v = np.meshgrid(np.linspace(-11, 4, 90), np.linspace(-4, 4, 60))
        for place, (title, optimizer, colour) in zip(axes.flat, runs, strict=True):
            place.contour(u, v, 0.5 * (flat * u**2 + steep * v**2), levels=[0.1, 0.5, 1.2, 2.5, 4.5, 7], colors=[LINE])
            p, path = {"p": np.array([-10.0, 3.0])}, [(-10.0, 3.0)]
            for _ in range(40):
                optimizer.apply(p, {"p": p["p"] * np.array([flat, steep])})
                path.append(tuple(p["p"]))
            place.plot(*zip(*path, strict=True), color=colour, marker=".", markersize=4, linewidth=1.1)
            place.plot(0, 0, marker="+", color=INK)
            place.set(xlim=(-11, 4), ylim=(-4, 4), title=title, xticks=[], yticks=[])
            place.title.set_fontsize(9)
    return drawing.svg
