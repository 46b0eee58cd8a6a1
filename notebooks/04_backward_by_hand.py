# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4. Backward by hand
#
# A network makes numbers, a loss says how wrong they are. To get better, we must know for every number on the way:
# *if it were a little larger, would the loss grow or shrink, and by how much?* That is its gradient. Finding it layer
# by layer, from the end to the beginning, is backpropagation. You need one rule for it.
#
# ## The rule
#
# A number that had a part in several results gets, from each of them, (how much the loss changes with that result)
# times (how much that result changes with this number), and adds it all up.
#
# Take $y = a \cdot b + c$, and let somebody tell you $\mathrm{d}y = 5$: the loss grows five times as fast as $y$.
# Then $a$ moves $y$ by $b$, so $\mathrm{d}a = 5b$; likewise $\mathrm{d}b = 5a$; and $c$ moves $y$ as it is:
# $\mathrm{d}c = 5$.
#
# It can always be **measured**: move the number a little, and look.

# %%
import numpy as np
from course import numbers

from minicnn import Conv2D, check_gradient, check_layer, check_layer_gradient


def loss(a, b=3.0, c=1.0):
    return 5 * (a * b + c)


h = 1e-5
print("measured:", (loss(2 + h) - loss(2 - h)) / (2 * h), "  by the rule: 5 * b =", 5 * 3.0)

# %% [markdown]
# Measuring costs two runs per number, and a network has millions of them. The rule gives all of them in one pass. So
# one uses the rule, and measures a few numbers to see that the rule was applied rightly.
#
# ## Exercise: back through a ReLU
#
# `dy` comes in, `dx` goes out. Where `x` was positive, $y = x$. Elsewhere $y = 0$, whatever $x$ does (and at exactly
# 0, says Keras, too). The function below has a slip in it. Try it on `x = 1, -1` with `dy = 1, 1`, then with
# `dy = -1, -1`, before you ask the check.


# %% tags=["exercise"]
def relu_backward(dy, x):
    """The shape of x"""
    return dy * (dy > 0)


# %% tags=["check"]
check_layer(relu_backward, "ReLU", backward=True)

# %% [markdown]
# ## Exercise: back through a dense layer
#
# $y = xK + b$ with `x` `(N, I)`, `kernel` `(I, U)`, `bias` `(U,)`. For one number, $y_{n,u} = \sum_i x_{n,i}\,
# K_{i,u} + b_u$. Which results did $x_{n,i}$ have a part in, and with what weight? And $K_{i,u}$? And $b_u$? Each
# answer is a sum, and two of the sums are matrix products. If you are lost, look at the shapes: only one product
# fits.


# %% tags=["exercise"]
def dense_backward(dy, x, kernel):
    """(N, U) -> dx (N, I), dkernel (I, U), dbias (U,)"""
    raise NotImplementedError("Hint: dkernel has the shape of kernel; x.T @ dy is (I, N) @ (N, U).")


# %% tags=["check"]
check_layer(dense_backward, "Dense", backward=True, complete=True)

# %% [markdown]
# ## Exercise: back through max pooling
#
# Only the winner of a window had a part in the output, so it gets all of `dy`. This looks right:
#
# ```python
# dx = (x == y) * dy
# ```
#
# and it is what most people write first. Run the check: which windows does it get wrong, and why do they occur in
# every network with ReLUs?


# %% tags=["exercise"]
def max_pooling_backward(dy, x, pool_size):
    """(N, OH, OW, C) -> dx (N, H, W, C), windows that do not overlap"""
    (KH, KW), (N, OH, OW, C) = pool_size, dy.shape
    windows = x[:, : OH * KH, : OW * KW].reshape(N, OH, KH, OW, KW, C)
    y = windows.max(axis=(2, 4), keepdims=True)
    dx = np.zeros_like(x)
    dx[:, : OH * KH, : OW * KW] = ((windows == y) * dy[:, :, None, :, None]).reshape(N, OH * KH, OW * KW, C)
    return dx


# %% tags=["check"]
check_layer(max_pooling_backward, "MaxPooling2D", backward=True)

# %% [markdown]
# ## Back through a convolution
#
# It is the same rule: every product $x \cdot k$ added to one $y$, so it gives $\mathrm{d}y \cdot k$ to `dx` and
# $\mathrm{d}y \cdot x$ to `dkernel`. Let us look at what one single number of `dy` does:

# %%
layer = Conv2D(1, 3)
layer.build((4, 4, 1), np.random.default_rng(0), np.float64)
layer.params["kernel"][:, :, 0, 0] = [[1, 2, 0], [0, 1, -1], [1, 0, 2]]
x = np.array([[1, 2, 0, 1], [0, 1, 3, 1], [2, 1, 0, 0], [1, 0, 2, 1]], float)[None, :, :, None]
y, cache = layer.forward(x)
dy = np.zeros_like(y)
dy[0, 1, 0, 0] = 2
dx, gradients = layer.backward(dy, cache)
numbers(dy, layer.params["kernel"], dx, titles=["dy", "the kernel", "dx: stamped"])
numbers(dy, x, gradients["kernel"], titles=["dy", "x", "dkernel: its window"])

# %% [markdown]
# ## Exercise: the convolution
#
# Take your loop over `kh, kw` from notebook 2. Forward it was `y += piece @ kernel[kh, kw]`, a dense layer. So
# backward, each turn of the loop is the backward pass of a dense layer, and pieces overlap: add.


# %% tags=["exercise"]
def convolution_backward(dy, x, kernel):
    """(N, OH, OW, F) -> dx (N, H, W, C), dkernel (KH, KW, C, F), dbias (F,)"""
    raise NotImplementedError("Hint: dx[:, kh : kh + OH, kw : kw + OW] += dy @ kernel[kh, kw].T")


# %% tags=["check"]
check_layer(convolution_backward, "Conv2D", backward=True, complete=True)

# %% [markdown]
# ## The gradient check
#
# Who checks the checker? Nobody needs to believe a reference. `check_gradient` measures the slope of *your* function
# and compares it with *your* gradient; here for the length of a vector, once with the right gradient and once with a
# wrong one.

# %%
vector = np.array([3.0, 4.0, 12.0])
print(check_gradient(lambda v: float(np.sqrt((v**2).sum())), lambda v: v / np.sqrt((v**2).sum()), vector))
print(check_gradient(lambda v: float(np.sqrt((v**2).sum())), lambda v: v, vector))

# %% [markdown]
# And a layer of minicnn, all its parameters included. `x` has to be float64: with seven digits, a difference of two
# nearly equal numbers is mostly rounding.

# %%
layer = Conv2D(3, 3, strides=2, padding="same")
layer.build((7, 6, 2), np.random.default_rng(1), np.float64)
print(check_layer_gradient(layer, np.random.default_rng(2).normal(size=(2, 7, 6, 2))))

# %% [markdown]
# ## What to take along
#
# - One rule: from every result you had a part in, `dresult` times your weight in it, all added up.
# - `dx` has the shape of `x`, always. Shapes tell you which product it is.
# - Measure: a wrong gradient often trains, only badly, and nobody sees why.
#
# Next: the same convolution, a thousand times faster.
