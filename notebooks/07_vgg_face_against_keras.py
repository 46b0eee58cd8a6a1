# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 7. VGG-Face, layer by layer, against Keras
#
# VGG-Face (Parkhi, Vedaldi and Zisserman, 2015) learned 2,622 people from 2.6 million photographs. It is a plain
# network: 3x3 convolutions and ReLUs, a max pooling now and then, three dense layers. Only, there are many of them,
# and wide ones. Here minicnn and Keras compute it side by side, and you will see who of the two is closer to the
# truth.
#
# So that it does not take minutes, our pictures have 32x32 pixels here, `fc6` is smaller for it, and there are 100
# people. All other layers are the real ones.

# %%
import time

import numpy as np
from course import crops, show
from matplotlib import pyplot as plt

from minicnn import check_layer, vgg_face

x, _ = crops(range(2), shots=1, size=32)
model = vgg_face((32, 32, 1), classes=100)
model.summary()

# %% [markdown]
# Look at two columns. **Parameters**: the convolutions share their kernels among all places, so they have few; the
# dense layers have most. **Multiplications**: it is the other way round.
#
# At the full size of 224x224x3 there are 145 million parameters and 31 thousand million operations for one face.
#
# ## One layer in both
#
# minicnn and Keras keep kernels in the same order, `(KH, KW, C, F)`, so weights are copied as they are. Both have
# random ones here: whether the arithmetic is the same does not depend on them.

# %%
from reference_keras.backend import load_keras

start = time.perf_counter()
keras = load_keras()
print(f"importing TensorFlow: {time.perf_counter() - start:.1f} s")

ours = model.get_layer("conv1_1")
theirs = keras.layers.Conv2D(64, 3, padding="same")
theirs.build((None, 32, 32, 1))
theirs.set_weights([ours.params["kernel"], ours.params["bias"]])

y_ours, y_theirs = ours(x), theirs(x).numpy()
print("largest difference:", np.abs(y_ours - y_theirs).max())
show(x[0], *np.moveaxis(y_ours[0, :, :, :5], -1, 0), titles=["face", *(f"channel {c}" for c in range(5))])

# %% [markdown]
# ## Who is right?
#
# The two differ in the last digits, and neither is wrong: float32 has seven digits, and a sum of many products
# depends on the order in which they are added. A difference from Keras is mostly Keras's own rounding. So we need a
# **referee**: the same layer computed in float64, with sixteen digits. Both sides are measured against it.

# %%
kernel, bias = (ours.params[name].astype(np.float64) for name in ("kernel", "bias"))
from minicnn import conv2d

truth = conv2d(x.astype(np.float64), kernel, bias, padding="same")[0]
for name, y in (("minicnn", y_ours), ("Keras", y_theirs)):
    print(f"{name}: largest error {np.abs(y - truth).max() / np.abs(truth).max():.1e}")

# %% [markdown]
# ## All of them, forward and backward
#
# `compare_layers` does this for each layer: its output, the gradient of its input and those of its parameters, with a
# random gradient coming in.

# %%
from reference_keras.parity import compare_layers

report = compare_layers(model, x)
names = [layer.name for layer in report.layers]
worst = {who: [max(getattr(a, who) for a in layer.arrays) for layer in report.layers] for who in ("ours", "keras")}

figure, axis = plt.subplots(figsize=(6, 8), layout="constrained")
floor = 1e-9  # exact results have no place on a logarithmic axis
axis.scatter(np.maximum(worst["keras"], floor), names, facecolor="none", edgecolor="#c2570c", label="Keras")
axis.scatter(np.maximum(worst["ours"], floor), names, s=14, color="#0b6e99", label="minicnn")
axis.set(xscale="log", xlabel="largest error of a layer's arrays (left edge: exact)")
axis.invert_yaxis()
axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
plt.show()

print("arrays outside of the rule:", *(report.failures() if not report.ok else ["none"]))
network = report.network
print(f"scores of the whole network: rms error {network.ours_rms:.1e} in minicnn, {network.keras_rms:.1e} in Keras")

# %% [markdown]
# `minicnn compare photo.jpg --model vgg-face --report out.html` does it at full size, on your photograph.
#
# ## One number, taken apart
#
# Deep inside such a network, a number is still a sum of products. Here is one of `conv1_2`, which sees 5x5 pixels of
# the face: 576 products (the largest are shown), the bias, and what the network itself got. `minicnn explore
# photo.jpg` opens a page on which you can click on any number and ask the same, forward and backward.

# %%
from minicnn.study import explain, receptive_field

print(receptive_field(model, "conv1_2", (10, 12, 5)).box)
print(explain(model, x, "conv1_2", (10, 12, 5)))

# %% [markdown]
# ## Exercise: softmax that survives
#
# The last layer turns scores into probabilities. The formula is short, and the function below is exactly the formula.
# It fails in some cases: in which, and what does the check suggest?


# %% tags=["exercise"]
def softmax(x, axis):
    """Any shape -> the same shape; positive, adding up to 1 along the axis"""
    exponentials = np.exp(x)
    return exponentials / exponentials.sum(axis=axis, keepdims=True)


# %% tags=["check"]
check_layer(softmax, "Softmax")

# %% [markdown]
# ## Exercise: and back
#
# Every probability depends on every score, because they share one sum. So for one $\mathrm{d}x_i$ you need all of
# $\mathrm{d}y$: $\mathrm{d}x_i = y_i\,(\mathrm{d}y_i - \sum_j y_j\, \mathrm{d}y_j)$. You are given `y`, what the
# forward pass returned.


# %% tags=["exercise"]
def softmax_backward(dy, y, axis):
    """The shape of y"""
    return dy * y * (1 - y)


# %% tags=["check"]
check_layer(softmax_backward, "Softmax", backward=True)

# %% [markdown]
# ## With the real weights
#
# `minicnn weights fetch vgg-face` downloads the weights that its authors published (580 MB), and prints where they lie.
# Then, in Python:
#
# ```python
# from minicnn import load_vgg_face
#
# model, preprocess_input = load_vgg_face("vgg_face_weights.h5", (224, 224, 1))   # the path that was printed; grey
# x, _ = crops(range(2), shots=1, size=224)
# scores = model.predict(preprocess_input(255 * x))
# ```
#
# ## What to take along
#
# - A deep network is a long row of the layers you know.
# - Two right programs differ in the last digits. Ask a more exact one who is closer.
# - Formulas are for paper: what a computer can represent is another matter.
#
# Next: you.
