"""Functions as learners write them, with loops, right but for one chosen mistake each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[..., Any]


def padding_of(n: int, k: int, s: int, padding: str, mistake: str = "") -> tuple[int, int]:
    if padding == "valid" or mistake == "padding ignored":
        return 0, 0
    if mistake == "half the window on both sides":
        return k // 2, k // 2
    if mistake == "padding for stride 1":
        return (k - 1) // 2, k - 1 - (k - 1) // 2
    total = max((-(-n // s) - 1) * s + k - n, 0)
    if mistake == "odd padding before":
        return total - total // 2, total // 2
    if mistake == "all padding after":
        return 0, total
    return total // 2, total - total // 2


def conv(mistake: str = "") -> Function:
    def conv(x, kernel, bias, strides, padding, dilation_rate):  # type: ignore[no-untyped-def]
        if mistake == "input read as NCHW":
            n, h, w, c = x.shape
            x = x.reshape(n, c, h, w).transpose(0, 2, 3, 1)
        if mistake == "kernel read as OIHW":
            kh, kw, c, f = kernel.shape
            kernel = kernel.reshape(f, c, kh, kw).transpose(2, 3, 1, 0)
        (sh, sw), (dh, dw) = strides, dilation_rate
        if mistake == "strides swapped":
            sh, sw = sw, sh
        if mistake == "stride ignored":
            sh = sw = 1
        if mistake == "dilation ignored":
            dh = dw = 1
        kh, kw, _, filters = kernel.shape
        span_h, span_w = (kh - 1) * dh + 1, (kw - 1) * dw + 1
        pads = [
            padding_of(n, k, s, padding, mistake)
            for n, k, s in zip(x.shape[1:3], (span_h, span_w), (sh, sw), strict=True)
        ]
        x = np.pad(x, ((0, 0), *pads, (0, 0)), mode="edge" if "edges" in mistake else "constant")
        n, h, w, channels = x.shape
        oh, ow = (h - span_h) // sh + 1, (w - span_w) // sw + 1
        y = np.zeros((n, oh, ow, filters))
        for i in range(oh):
            for j in range(ow):
                for p in range(kh):
                    for q in range(kw):
                        for c in range(channels):
                            if mistake == "kernel flipped":
                                weights = kernel[kh - 1 - p, kw - 1 - q, c]
                            elif mistake == "kernel axes swapped":
                                weights = kernel[q, p, c]
                            elif mistake == "kernel channels swapped":
                                weights = kernel[p, q, :, c]
                            else:
                                weights = kernel[p, q, c]
                            y[:, i, j] += np.outer(x[:, i * sh + p * dh, j * sw + q * dw, c], weights)
                            if mistake == "bias added at every product":
                                y[:, i, j] += bias
                        if mistake == "bias added at every tap":
                            y[:, i, j] += bias
        if mistake not in ("bias missing", "bias added at every tap", "bias added at every product"):
            y += bias
        if mistake == "bias added twice":
            y += bias
        return y.transpose(0, 3, 1, 2) if mistake == "output returned as NCHW" else y

    return conv


def conv_backward(mistake: str = "") -> Function:
    def conv_backward(dy, x, kernel, strides, padding):  # type: ignore[no-untyped-def]
        if mistake == "upstream gradient ignored":
            dy = np.ones_like(dy)
        (sh, sw), (kh, kw, _, _) = strides, kernel.shape
        (top, bottom), (left, right) = (
            padding_of(n, k, s, padding) for n, k, s in zip(x.shape[1:3], (kh, kw), strides, strict=True)
        )
        padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
        dx, dkernel = np.zeros_like(padded), np.zeros_like(kernel)
        for i in range(dy.shape[1]):
            for j in range(dy.shape[2]):
                for p in range(kh):
                    for q in range(kw):
                        weight = kernel[kh - 1 - p, kw - 1 - q] if mistake == "kernel flipped" else kernel[p, q]
                        dx[:, i * sh + p, j * sw + q] += dy[:, i, j] @ weight.T
                        a, b = (kh - 1 - p, kw - 1 - q) if mistake == "dkernel flipped" else (p, q)
                        pixels, upstream = padded[:, i * sh + p, j * sw + q], dy[:, i, j]
                        if mistake == "only the last sample counts":
                            pixels, upstream = pixels[-1:], upstream[-1:]
                        dkernel[a, b] += pixels.T @ upstream
        dbias = dy.sum(axis=(0, 1, 2))
        if mistake == "mean instead of sum over the batch":
            dkernel, dbias = dkernel / len(x), dbias / len(x)
        if mistake == "mean instead of sum over positions":
            dbias = dy.mean(axis=(0, 1, 2))
        if mistake != "padding left on dx":
            dx = dx[:, top : top + x.shape[1], left : left + x.shape[2]]
        return dx, dkernel, dbias

    return conv_backward


def depthwise(mistake: str = "") -> Function:
    def depthwise(x, kernel, bias):  # type: ignore[no-untyped-def]
        kh, kw, channels, multiplier = kernel.shape
        oh, ow = x.shape[1] - kh + 1, x.shape[2] - kw + 1
        y = np.zeros((len(x), oh, ow, channels * multiplier))
        for c in range(channels):
            for d in range(multiplier):
                out = d * channels + c if mistake == "output channels in another order" else c * multiplier + d
                for p in range(kh):
                    for q in range(kw):
                        y[..., out] += x[:, p : p + oh, q : q + ow, c] * kernel[p, q, c, d]
        return y if mistake == "output channels in another order" else y + bias

    return depthwise


def dense(mistake: str = "") -> Function:
    def dense(x, kernel, bias):  # type: ignore[no-untyped-def]
        if mistake == "kernel transposed":
            return x @ kernel.T + bias
        if mistake == "kernel reshaped instead of transposed":
            return x @ kernel.reshape(kernel.shape[::-1]).T + bias
        return x @ kernel + (0 if mistake == "bias missing" else bias)

    return dense


def max_pool(mistake: str = "") -> Function:
    def max_pool(x, pool_size, strides, padding):  # type: ignore[no-untyped-def]
        kh, kw = pool_size
        sh, sw = pool_size if strides is None or mistake == "strides always the pool size" else strides
        pads = [padding_of(n, k, s, padding, mistake) for n, k, s in zip(x.shape[1:3], (kh, kw), (sh, sw), strict=True)]
        if mistake == "output size rounded up" and padding == "valid":
            pads = [(0, -(-(n - k) // s) * s + k - n) for n, k, s in zip(x.shape[1:3], (kh, kw), (sh, sw), strict=True)]
        fill = 0.0 if mistake == "padded with zeros" else -np.inf
        x = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
        oh, ow = (x.shape[1] - kh) // sh + 1, (x.shape[2] - kw) // sw + 1
        y = np.zeros((len(x), oh, ow, x.shape[3]))
        for i in range(oh):
            for j in range(ow):
                y[:, i, j] = x[:, i * sh : i * sh + kh, j * sw : j * sw + kw].max(axis=(1, 2))
        return y

    return max_pool


def max_pool_backward(mistake: str = "") -> Function:
    def max_pool_backward(dy, x, pool_size, strides):  # type: ignore[no-untyped-def]
        (kh, kw), (sh, sw) = pool_size, strides or pool_size
        dx = np.zeros_like(x)
        for n in range(len(x)):
            for c in range(x.shape[3]):
                for i in range(dy.shape[1]):
                    for j in range(dy.shape[2]):
                        place = (n, slice(i * sh, i * sh + kh), slice(j * sw, j * sw + kw), c)
                        window = x[place]
                        if mistake == "gradient to all ties":
                            dx[place] += (window == window.max()) * dy[n, i, j, c]
                        elif mistake == "gradient split among ties":
                            ties = window == window.max()
                            dx[place] += ties / ties.sum() * dy[n, i, j, c]
                        else:
                            winners = np.zeros(window.size)
                            winners[np.argmax(window)] = dy[n, i, j, c]
                            if mistake == "overlapping windows overwritten":
                                dx[place] = winners.reshape(window.shape)
                            else:
                                dx[place] += winners.reshape(window.shape)
        return dx

    return max_pool_backward


def average_pool(mistake: str = "") -> Function:
    def average_pool(x, pool_size, padding):  # type: ignore[no-untyped-def]
        kh, kw = pool_size
        pads = [padding_of(n, k, k, padding) for n, k in zip(x.shape[1:3], pool_size, strict=True)]
        ones = np.pad(np.ones_like(x), ((0, 0), *pads, (0, 0)))
        x = np.pad(x, ((0, 0), *pads, (0, 0)))
        y = np.zeros((len(x), x.shape[1] // kh, x.shape[2] // kw, x.shape[3]))
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                window = (slice(None), slice(i * kh, i * kh + kh), slice(j * kw, j * kw + kw))
                count = kh * kw if mistake == "padding counted" else ones[window].sum(axis=(1, 2))
                y[:, i, j] = x[window].sum(axis=(1, 2)) / count
        return y

    return average_pool


def batch_norm(mistake: str = "") -> Function:
    def batch_norm(x, gamma, beta, moving_mean, moving_variance, training, momentum, epsilon):  # type: ignore[no-untyped-def]
        axes = (0,) if mistake == "statistics per number" else tuple(range(x.ndim - 1))
        mean, variance = x.mean(axis=axes), x.var(axis=axes, ddof=1 if mistake == "unbiased variance" else 0)
        if mistake == "unbiased variance":  # but what the moving variance gathers is another question
            seen = x.var(axis=axes)
        else:
            seen = variance
        if mistake == "moving variance unbiased":
            seen = x.var(axis=axes, ddof=1)
        if not training:
            mean, variance = moving_mean, moving_variance
        if mistake == "epsilon 1e-5":
            epsilon = 1e-5
        if mistake == "epsilon outside the root":
            y = gamma * (x - mean) / (np.sqrt(variance) + epsilon) + beta
        else:
            y = gamma * (x - mean) / np.sqrt(variance + epsilon) + beta
        if mistake == "statistics per number":
            return y
        if training:
            keep = 1 - momentum if mistake == "momentum swapped" else momentum
            moving_mean = keep * moving_mean + (1 - keep) * mean
            moving_variance = keep * moving_variance + (1 - keep) * seen
        return y, moving_mean, moving_variance

    return batch_norm


def batch_norm_backward(mistake: str = "") -> Function:
    def batch_norm_backward(dy, x, gamma, epsilon):  # type: ignore[no-untyped-def]
        axes = tuple(range(x.ndim - 1))
        inverse = 1 / np.sqrt(x.var(axis=axes) + epsilon)
        if mistake == "mean and variance as constants":
            return dy * gamma * inverse
        xhat = (x - x.mean(axis=axes)) * inverse
        stretch = 0 if mistake == "variance as a constant" else xhat * (dy * xhat).mean(axis=axes)
        return gamma * inverse * (dy - dy.mean(axis=axes) - stretch)

    return batch_norm_backward


def softmax(mistake: str = "") -> Function:
    def softmax(x):  # type: ignore[no-untyped-def]
        if mistake == "maximum not subtracted":
            return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
        axis = {"along the batch": 0, "over the whole array": None}.get(mistake, -1)
        e = np.exp(x - x.max(axis=axis, keepdims=True))
        return e / e.sum(axis=axis, keepdims=True)

    return softmax


def softmax_backward(mistake: str = "") -> Function:
    def softmax_backward(dy, y):  # type: ignore[no-untyped-def]
        if mistake == "only the diagonal of the Jacobian":
            return dy * y * (1 - y)
        return y * (dy - (dy * y).sum(axis=-1, keepdims=True))

    return softmax_backward


def relu_backward(mistake: str = "") -> Function:
    def relu_backward(dy, x):  # type: ignore[no-untyped-def]
        if mistake == "mask of dy":
            return np.where(dy > 0, dy, 0.0)
        return dy * ((x >= 0) if mistake == "gradient 1 at 0" else (x > 0))

    return relu_backward


def leaky_relu(mistake: str = "") -> Function:
    slope = 0.01 if mistake == "slope 0.01" else 0.3
    return lambda x: np.where(x > 0, x, slope * x)


def flatten(mistake: str = "") -> Function:
    if mistake == "channels first":
        return lambda x: x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    return lambda x: x.reshape(len(x), -1)


def dropout(mistake: str = "") -> Function:
    def dropout(x, mask, rate, training):  # type: ignore[no-untyped-def]
        if not training:
            return x * (1 - rate) if mistake == "not scaled and scaled in inference" else x
        return x * mask if "not scaled" in mistake else x * mask / (1 - rate)

    return dropout


def global_max_backward(mistake: str = "") -> Function:
    def global_max_backward(dy, x):  # type: ignore[no-untyped-def]
        ties = x == x.max(axis=(1, 2), keepdims=True)
        dy = dy.reshape(len(x), 1, 1, -1)
        return dy * ties if mistake == "gradient to all ties" else dy * ties / ties.sum(axis=(1, 2), keepdims=True)

    return global_max_backward


def crossentropy(mistake: str = "") -> Function:
    def crossentropy(y_true, y_pred, label_smoothing):  # type: ignore[no-untyped-def]
        classes = y_pred.shape[1]
        if mistake == "label smoothing over the others":
            y_true = y_true * (1 - label_smoothing) + (1 - y_true) * label_smoothing / (classes - 1)
        elif mistake != "label smoothing ignored":
            y_true = y_true * (1 - label_smoothing) + label_smoothing / classes
        p = y_pred / y_pred.sum(axis=1, keepdims=True)
        if mistake != "not clipped":
            p = np.clip(p, 1e-7, 1 - 1e-7)
        each = -(y_true * np.log(p)).sum(axis=1)
        return each.sum() if mistake == "sum instead of mean" else each.mean()

    return crossentropy


def crossentropy_backward(mistake: str = "") -> Function:
    def crossentropy_backward(y_true, y_pred, from_logits):  # type: ignore[no-untyped-def]
        e = np.exp(y_pred - y_pred.max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        n = 1 if mistake == "not divided by the batch" else len(y_true)
        if from_logits:
            return (p - y_true) / n
        total = y_pred.sum(axis=1, keepdims=True)
        q = y_pred / total
        dq = np.where((q < 1e-7) | (q > 1 - 1e-7), 0, -y_true / np.clip(q, 1e-7, 1))
        return (dq - (dq * q).sum(axis=1, keepdims=True)) / total / n

    return crossentropy_backward


def adam(mistake: str = "") -> Function:
    def adam(variable, gradient, momentum, velocity, step, learning_rate, beta_1, beta_2, epsilon):  # type: ignore[no-untyped-def]
        m = beta_1 * momentum + (1 - beta_1) * gradient
        v = beta_2 * velocity + (1 - beta_2) * gradient**2
        rate = learning_rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
        if mistake == "bias correction missing":
            rate = learning_rate
        if mistake == "epsilon inside the root":
            return variable - rate * m / np.sqrt(v + epsilon), m, v
        if mistake == "epsilon beside the corrected root":
            corrected = np.sqrt(v / (1 - beta_2**step)) + epsilon
            return variable - learning_rate * m / (1 - beta_1**step) / corrected, m, v
        return variable - rate * m / (np.sqrt(v) + epsilon), m, v

    return adam


def sgd(mistake: str = "") -> Function:
    def sgd(variable, gradient, momentum, learning_rate, mu):  # type: ignore[no-untyped-def]
        if mistake == "learning rate outside the momentum" and mu:
            return variable - learning_rate * (mu * momentum + gradient)
        if mistake == "momentum's sign":
            momentum = -momentum
        step = learning_rate * gradient
        return variable + (mu * momentum - step)

    return sgd


def rmsprop(mistake: str = "") -> Function:
    def rmsprop(variable, gradient, velocity, learning_rate, rho, epsilon):  # type: ignore[no-untyped-def]
        v = rho * velocity + (1 - rho) * gradient**2
        if mistake == "epsilon outside the root":
            return variable - learning_rate * gradient / (np.sqrt(v) + epsilon), v
        return variable - learning_rate * gradient / np.sqrt(v + epsilon), v

    return rmsprop
