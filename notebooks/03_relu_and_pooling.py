# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3. ReLU and pooling
#
# A convolution says at each place how much the picture looks like its kernel: yes (positive), no (zero), the opposite
# (negative). Two small steps follow it in nearly every network. **ReLU** keeps the yes and drops the rest.
# **Pooling** keeps the loudest yes of a neighbourhood and forgets where exactly it was.

# %%
import numpy as np
from course import faces, numbers, show

from minicnn import MaxPooling2D, ReLU, check_layer
from minicnn.ops.conv2d import conv2d

face = faces()[0][3]
edges = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]], np.float32)[:, :, None, None]
found = conv2d(face[None], edges)[0]
kept = ReLU()(found)
pooled = MaxPooling2D(4)(kept)
show(face, found[0], kept[0], pooled[0], titles=["face", "convolved", "ReLU", "max over 4x4"])

# %% [markdown]
# ## Why bend at all?
#
# Two convolutions in a row are again a convolution: adding up sums gives a sum. A hundred layers without anything
# between them could do no more than one. ReLU, $y = \max(x, 0)$, is the smallest possible bend, and it is enough.
#
# ## Exercise: ReLU


# %% tags=["exercise"]
def relu(x):
    """Any shape -> the same shape"""
    return np.abs(x)


# %% tags=["check"]
check_layer(relu, "ReLU")

# %% [markdown]
# ## Max pooling
#
# Cut every channel into windows of 2x2 that do not overlap, and keep the largest number of each. The picture is then
# half as high and half as wide; what does not fill a window at the border is dropped: 25 becomes 12.

# %%
x = np.array([[1, 5, 2, 2], [3, 4, 0, 1], [6, 2, 7, 7], [1, 0, 3, 7]], np.float32)
numbers(x, MaxPooling2D()(x[None, :, :, None]), titles=["x", "y"])

# %% [markdown]
# ## Exercise: max pooling
#
# For windows of any `pool_size` that do not overlap. It can be done without a loop: reshape `(N, H, W, C)` so that
# every window gets axes of its own, `(N, OH, KH, OW, KW, C)`, and take the maximum over two of them.


# %% tags=["exercise"]
def max_pooling(x, pool_size):
    """(N, H, W, C) -> (N, H // KH, W // KW, C)"""
    raise NotImplementedError("Hint: cut off what fills no window, then x.reshape(N, OH, KH, OW, KW, C).max(...).")


# %% tags=["check"]
check_layer(max_pooling, "MaxPooling2D")

# %% [markdown]
# ## Exercise: the mean at the border
#
# Average pooling with "same" padding pads as a convolution does, and then takes the mean of each window. Of how many
# numbers? The function below has an opinion. Keras has another one: run the check.


# %% tags=["exercise"]
def average_pooling(x, pool_size, padding):
    """(N, H, W, C) -> (N, OH, OW, C), windows that touch but do not overlap"""
    sizes = [-(-n // k) if padding == "same" else n // k for n, k in zip(x.shape[1:3], pool_size, strict=True)]
    missing = [max(size * k - n, 0) for size, n, k in zip(sizes, x.shape[1:3], pool_size, strict=True)]
    x = np.pad(x, ((0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)))
    (OH, OW), (KH, KW) = sizes, pool_size
    windows = x[:, : OH * KH, : OW * KW].reshape(len(x), OH, KH, OW, KW, -1)
    return windows.mean(axis=(2, 4))


# %% tags=["check"]
check_layer(average_pooling, "AveragePooling2D")

# %% [markdown]
# ## How far does a unit see?
#
# After one 3x3 convolution a number depends on 3x3 pixels; after a pooling and another convolution, on 8x8. Going
# back layer by layer, a field of $r$ positions becomes $(r - 1) \cdot stride + kernel$. For the small network of this
# project:

# %%
from minicnn import face_cnn

model = face_cnn()
windows = [layer for layer in model.layers if hasattr(layer, "strides")]
for depth, last in enumerate(windows, start=1):
    field = 1
    for layer in reversed(windows[:depth]):
        size = getattr(layer, "kernel_size", None) or layer.pool_size
        field = (field - 1) * (layer.strides or size)[0] + size[0]
    print(f"{last.name}: one number sees {field} x {field} pixels of the crop")

# %% [markdown]
# ## What to take along
#
# - ReLU bends. Without a bend, depth is worth nothing.
# - Pooling makes the next window see further, and small shifts unimportant.
# - Padding counts as minus infinity for a maximum and is not counted in a mean.
#
# Next: how such a network learns.
