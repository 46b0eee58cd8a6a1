# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. The same sums, faster
#
# A convolution is defined by seven loops. Everything in this notebook computes the same numbers; only the time
# differs, by a factor that you will measure on your own machine. Close what else is running.

# %%
import time

import numpy as np
from matplotlib import pyplot as plt

from minicnn import check_layer
from minicnn.ops.conv2d import conv2d

rng = np.random.default_rng(0)


def seconds(function, least=0.2):
    """The shortest of several runs, the first of which is not counted: it may compile."""
    function()
    times, start = [], time.perf_counter()
    while time.perf_counter() - start < least or len(times) < 3:
        before = time.perf_counter()
        function()
        times.append(time.perf_counter() - before)
    return min(times)


# %% [markdown]
# ## First, count
#
# $N \cdot OH \cdot OW \cdot F \cdot KH \cdot KW \cdot C$ multiplications, and as many additions. For one picture of
# 56x56 pixels with 64 channels, and 64 filters of 3x3:

# %%
N, H, W, C, F = 1, 56, 56, 64, 64
x = rng.normal(size=(N, H, W, C)).astype(np.float32)
kernel = rng.normal(size=(3, 3, C, F)).astype(np.float32)
operations = 2 * N * H * W * F * 3 * 3 * C
print(f"{operations / 1e6:.0f} million operations")

# %% [markdown]
# ## The loops
#
# `algorithm="loops"` is the definition in Python. The whole picture would take minutes, so we take a corner of it,
# and calculate.

# %%
small, few = x[:, :6, :6, :8], kernel[:, :, :8, :8]
loops = seconds(lambda: conv2d(small, few, padding="same", algorithm="loops"), least=0)
per_operation = loops / (2 * 6 * 6 * 8 * 3 * 3 * 8)
print(f"{per_operation * 1e9:.0f} ns for each operation; the whole picture: {per_operation * operations:.0f} s")

# %% [markdown]
# ## im2col: one product of two matrices
#
# Write the numbers under every window as a row. Then all outputs together are one matrix product, and NumPy hands
# that to a library that has been polished for decades.
#
# ## Exercise: im2col
#
# Build the matrix `columns` `(N*OH*OW, KH*KW*C)` from slices of `x` (a loop over `kh, kw`, as before), multiply it by
# the kernel as a matrix `(KH*KW*C, F)`, and reshape. The order within a row must be the order in which
# `kernel.reshape(-1, F)` has its rows: `kh`, then `kw`, then `c`.


# %% tags=["exercise"]
def im2col_convolution(x, kernel):
    """(N, H, W, C), (KH, KW, C, F) -> (N, OH, OW, F)"""
    raise NotImplementedError("Hint: np.concatenate([x[:, kh : kh + OH, kw : kw + OW] for ...], axis=-1)")


# %% tags=["check"]
check_layer(im2col_convolution, "Conv2D")

# %% [markdown]
# ## Direct: no matrix at all
#
# The rows of that matrix already lie in the picture, one shifted by a pixel from the next. The **register kernel**
# reads them where they are: it keeps a tile of sums (14 rows by 32 filters where the processor has AVX-512) in
# registers until they are complete. `minicnn/ops/micro_kernel.py` tells how.
#
# ## Winograd: fewer multiplications
#
# Neighbouring windows overlap, so they multiply the same pixels again and again. Winograd's algorithm makes 4 outputs
# of a 3-tap filter from 6 products instead of 12. For two outputs of one row it fits into four lines:

# %%
d, g = np.array([1.0, 4.0, 2.0, 5.0]), np.array([3.0, 1.0, 2.0])  # four pixels, three weights
m1 = (d[0] - d[2]) * g[0]
m2 = (d[1] + d[2]) * (g[0] + g[1] + g[2]) / 2
m3 = (d[2] - d[1]) * (g[0] - g[1] + g[2]) / 2
m4 = (d[1] - d[3]) * g[2]
print("four products:", m1 + m2 + m3, m2 - m3 - m4)
print("six products: ", d[0:3] @ g, d[1:4] @ g)

# %% [markdown]
# What the weights need (the sums with $g$) is computed once per kernel, and what the pixels need once per tile, for
# all filters.
#
# ## The race

# %%
names = ["im2col", "direct", "winograd_2x2", "winograd_complex", "winograd_6x6", "winograd"]
times = {name: seconds(lambda name=name: conv2d(x, kernel, padding="same", algorithm=name)) for name in names}
print(f"{'loops':18} {per_operation * operations:12.1f} s (calculated)")
for name, t in times.items():
    print(f"{name:18} {1e3 * t:12.2f} ms   {operations / t / 1e9:6.0f} GFLOP/s of the definition's operations")

plt.figure(figsize=(7, 2.4), layout="constrained")
plt.barh(["loops", *names], [per_operation * operations, *times.values()], color="#0b6e99")
plt.xscale("log")
plt.xlabel("seconds, each line ten times the one before")
plt.show()

# %% [markdown]
# They are the same numbers, up to rounding:

# %%
y = conv2d(x.astype(np.float64), kernel.astype(np.float64), padding="same", algorithm="im2col")[0]
for name in names:
    error = np.abs(conv2d(x, kernel, padding="same", algorithm=name)[0] - y).max() / np.abs(y).max()
    print(f"{name:18} largest error {error:.1e}")

# %% [markdown]
# Which one wins depends on the shape. Winograd wants small windows, stride 1 and many channels; with few channels its
# transforms cost more than they save. `algorithm="auto"` knows; `minicnn bench --algorithms --layer conv` shows it
# for any shape.
#
# ## What to take along
#
# - Count operations first: a time without a count says nothing.
# - im2col trades memory for one large product. Direct convolution reads cleverly. Winograd multiplies less.
# - Every fast way is compared with a slow, clear one. Otherwise it is only fast.
#
# Next: teach a network to know 40 people.
