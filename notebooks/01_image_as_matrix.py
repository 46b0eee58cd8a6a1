# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1. A picture is a matrix
#
# A computer does not see a face. It has a table of numbers, one for each little square of the picture, and everything
# this course does to pictures is arithmetic with such tables. So let us look at one.
#
# The faces are the AT&T/ORL set: 40 people, 10 pictures of each, taken at the Olivetti Research Laboratory.

# %%
import numpy as np
from course import faces, numbers, show

from minicnn import check_layer

pictures, persons = faces()
print(pictures.shape, pictures.dtype)
show(*pictures[::40][:6])

# %% [markdown]
# The shape says `(N, H, W, C)`: 400 pictures, 112 rows, 92 columns, 1 channel. Every array of pictures in this course
# has its axes in this order.
#
# One picture, and one of its eyes, as what it is:

# %%
face = pictures[3]
eye = face[37:48, 48:66]
show(face, eye, titles=["112 x 92 numbers", "11 x 18 of them"])
numbers(255 * eye, titles=["the same, from 0 (black) to 255 (white)"])

# %% [markdown]
# ## Arithmetic that you can see
#
# Twice as much contrast is a multiplication by 2, seen from the middle grey. A mirror is an index that runs
# backwards. What changes from one photograph to the next is a subtraction.

# %%
show(
    face,
    np.clip(0.5 + 2 * (face - 0.5), 0, 1),
    face[:, ::-1],
    face[::2, ::2],
    pictures[4] - face,
    titles=["as it is", "contrast x 2", "mirrored", "every second pixel", "next picture minus this"],
)

# %% [markdown]
# ## Colour
#
# A colour picture has three such tables: how much red, green and blue. Grey is their weighted sum, because our eyes
# find green bright and blue dark. So a channel is just one more axis to add up over, and later layers of a network
# will have not 3 of them but hundreds.

# %%
sunset = np.stack([face[..., 0], face[..., 0] ** 2, face[..., 0] ** 3], axis=-1)  # (H, W) -> (H, W, 3)
grey = sunset @ np.array([0.299, 0.587, 0.114])  # (H, W, 3) @ (3,) -> (H, W)
show(sunset, *np.moveaxis(sunset, -1, 0), grey, titles=["three tables", "red", "green", "blue", "grey again"])

# %% [markdown]
# ## Exercise: a picture as a row
#
# The last layers of a network want no tables but one long row per picture. In which order? Row by row, and at each
# pixel all channels: the order in which the numbers lie in memory. The batch axis, the first one, stays.
#
# Fill in the blank. The next cell marks it: it calls your function with pictures of many shapes and compares each
# number with what Keras's layer `Flatten` gives.


# %% tags=["exercise"]
def flatten(x):
    """(N, H, W, C) -> (N, H*W*C)"""
    raise NotImplementedError("Hint: x.reshape(...) keeps the order in memory; -1 stands for whatever is left.")


# %% tags=["check"]
check_layer(flatten, "Flatten")

# %% [markdown]
# ## Exercise: a frame of zeros
#
# In the next notebook a window will slide over the picture. To let it reach the border, one puts a frame of zeros
# round the picture. Here is a function that does it, and it is **wrong**. Run the check and read what it says: it
# does not only compare, it finds out *what* is wrong, by trying the mistakes that people make. Then mend the
# function.


# %% tags=["exercise"]
def zero_padding(x, padding):
    """(N, H, W, C) -> (N, top + H + bottom, left + W + right, C)"""
    (top, bottom), (left, right) = padding
    return np.pad(x, ((0, 0), (left, right), (top, bottom), (0, 0)))


# %% tags=["check"]
check_layer(zero_padding, "ZeroPadding2D")

# %% [markdown]
# ## What to take along
#
# - A batch of pictures is an array `(N, H, W, C)`.
# - Whatever a network does is arithmetic on it.
# - `check_layer` tells you whether your function does what a layer does, and why not. In a terminal: `minicnn check
#   my_file.py:zero_padding --layer ZeroPadding2D`.
#
# Next: a window that slides.
