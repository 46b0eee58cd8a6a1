# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2. Convolution by hand
#
# Is there an edge here, with bright on the left and dark on the right? Take the pixels on the left and subtract those
# on the right: the result is large where there is such an edge, and near zero where all is even. That is a
# convolution. Everything else in this notebook is bookkeeping.

# %%
import numpy as np
from course import faces, numbers, show

from minicnn import check_layer
from minicnn.ops.conv2d import conv2d

x = np.array([[3, 3, 3, 0, 0], [3, 3, 3, 0, 0], [3, 3, 3, 1, 0], [3, 3, 2, 0, 0], [3, 3, 0, 0, 0]], float)
kernel = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], float)
numbers(x, kernel, titles=["a picture", "a kernel"])

# %% [markdown]
# The **kernel** is a little table of weights. Lay it on the picture, multiply what lies on each other, add it all up.
# Here it lies one row down and one column to the right:

# %%
window = x[1:4, 1:4]
numbers(window, window * kernel, titles=["the window", "times the kernel"])
print("the sum:", (window * kernel).sum())

# %% [markdown]
# Then move the window on. A 3x3 window fits into a 5x5 picture at 3x3 places, so the output has 3x3 numbers.

# %%
y = np.zeros((3, 3))
for row in range(3):
    for column in range(3):
        y[row, column] = (x[row : row + 3, column : column + 3] * kernel).sum()
numbers(y, titles=["the output"])

# %% [markdown]
# On a face, four kernels that ask four questions. Dark is "the opposite", grey is "nothing here".

# %%
face = faces()[0][3]
kernels = {
    "bright left of dark": kernel,
    "bright above dark": kernel.T,
    "brighter than around": np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], float),
    "the mean": np.full((3, 3), 1 / 9),
}
answers = [conv2d(face[None], k[:, :, None, None].astype(np.float32))[0][0] for k in kernels.values()]
show(face, *answers, titles=["a face", *kernels])

# %% [markdown]
# Nobody will choose kernels by hand from here on. A network *learns* them: it begins with random ones and changes
# them a little whenever it was wrong.
#
# ## Channels and filters
#
# A picture with $C$ channels gets a kernel with $C$ layers, and the sum goes over all of them: one number per window,
# whatever $C$ is. Several kernels, called filters, make several outputs, and these are the channels of the result:
#
# $$
# y_{n,oh,ow,f} = \sum_{kh,\,kw,\,c} x_{n,\,oh + kh,\,ow + kw,\,c} \cdot k_{kh,\,kw,\,c,\,f}
# $$
#
# ## Exercise: your first convolution
#
# `x` is `(N, H, W, C)`, `kernel` is `(KH, KW, C, F)`, and the output `(N, OH, OW, F)` with `OH = H - KH + 1`. A good
# way: two loops, over the positions `kh, kw` **of the kernel**. At each of them, all windows at once meet the same
# weights: a piece of the picture `(N, OH, OW, C)` times a matrix `(C, F)`.
#
# The function below is nearly right.


# %% tags=["exercise"]
def convolution(x, kernel):
    """(N, H, W, C), (KH, KW, C, F) -> (N, OH, OW, F)"""
    (KH, KW, _, F), (N, H, W, _) = kernel.shape, x.shape
    OH, OW = H - KH + 1, W - KW + 1
    y = np.zeros((N, OH, OW, F))
    for kh in range(KH):
        for kw in range(KW):
            y += x[:, kh : kh + OH, kw : kw + OW] @ kernel[KH - 1 - kh, KW - 1 - kw]  # (N, OH, OW, C) @ (C, F)
    return y


# %% tags=["check"]
check_layer(convolution, "Conv2D")

# %% [markdown]
# ## Strides and padding
#
# With **strides** the window moves on by more than one pixel; the output is that much smaller: without padding
# ("valid") it has `OH = (H - KH) // stride + 1` rows. With **"same"** padding, zeros are put round the picture so that
# it has `OH = ceil(H / stride)` rows. How many zeros?
#
# ```
# total  = max((OH - 1) * stride + KH - H, 0)
# before = total // 2
# after  = total - before          the odd one goes after: below, and on the right
# ```
#
# ## Exercise: the whole thing
#
# Now with `bias` (one number per filter, added to every output), `strides` (a pair) and `padding` ("valid" or
# "same"). Pad first (you wrote that in notebook 1), then convolve with steps.


# %% tags=["exercise"]
def full_convolution(x, kernel, bias=None, strides=(1, 1), padding="valid"):
    """(N, H, W, C), (KH, KW, C, F), (F,) -> (N, OH, OW, F)"""
    raise NotImplementedError("Hint: pad x, then loop over kh, kw and take x[:, kh : kh + ... : strides[0], ...].")


# %% tags=["check"]
check_layer(full_convolution, "Conv2D")

# %% [markdown]
# When all is right, look at what `minicnn/ops/conv2d/loops.py` makes of it: seven loops, and the judge of every
# faster way.
#
# ## What to take along
#
# - A convolution asks the same question at every place of a picture.
# - The sum goes over the window **and** the channels. There is one kernel per filter.
# - The kernel is not flipped, whatever a book on mathematics says.
#
# Next: what comes behind a convolution.
