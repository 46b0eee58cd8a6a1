# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 6. Learning faces
#
# All the pieces are there: layers forward, layers backward. Now a network looks at five pictures of each of 40 people
# and is then asked about five others.

# %%
import numpy as np
from course import faces, show
from matplotlib import pyplot as plt

from minicnn import Adam, Augment, AveragePooling2D, SparseCategoricalCrossentropy, check_layer, face_cnn

x, persons = faces()
x = AveragePooling2D()(x)  # half as high and half as wide: a quarter of the work
shot = np.arange(400) % 10
train, test = shot < 5, shot >= 5
print(x[train].shape, "to learn from,", x[test].shape, "to be tested on")

# %% [markdown]
# ## What is "wrong", as one number?
#
# The network gives 40 scores. Softmax makes probabilities of them, $p_i = e^{x_i} / \sum_j e^{x_j}$, and the loss is
# $-\log p$ of the right person: 0 for "certain, and right"; for "certain, and wrong" it has no limit. A network that
# knows nothing says 1/40 for everybody:

# %%
print("loss of knowing nothing:", -np.log(1 / 40))

# %% [markdown]
# ## Exercise: the gradient of it all
#
# Softmax and cross-entropy together have the simplest gradient of all: *what you said, minus what is true*, and
# divided by the number of pictures, because the loss is a mean. `y_true` are rows with a 1 at the right person,
# `y_pred` the scores; `from_logits=True` says that they are scores and no probabilities (here it always is).


# %% tags=["exercise"]
def crossentropy_gradient(y_true, y_pred):
    """(N, K), (N, K) -> (N, K)"""
    raise NotImplementedError("Hint: first the probabilities; subtract the largest score before np.exp.")


# %% tags=["check"]
def from_scores(y_true, y_pred, from_logits):
    """What is checked: your gradient for scores, and minicnn's own for probabilities."""
    from minicnn import CategoricalCrossentropy

    if from_logits:
        return crossentropy_gradient(y_true, y_pred)
    loss = CategoricalCrossentropy()
    return loss.backward(loss.forward(y_true, y_pred)[1])


check_layer(from_scores, "CategoricalCrossentropy", backward=True)

# %% [markdown]
# ## Exercise: the step
#
# An optimiser moves every weight against its gradient. With **momentum** it does so like a ball that rolls: it
# remembers its last step. Keras writes it as $m \leftarrow \mu\, m - \eta\, g$ and then $p \leftarrow p + m$.
# (`momentum` is the memory $m$, `mu` the setting.) Below is what other frameworks do. Is it the same?


# %% tags=["exercise"]
def sgd(variable, gradient, momentum, learning_rate, mu):
    """The new variable"""
    momentum = mu * momentum + gradient
    return variable - learning_rate * momentum


# %% tags=["check"]
check_layer(sgd, "SGD")

# %% [markdown]
# ## Train
#
# `face_cnn` has five convolutions, each followed by batch normalisation and ReLU, and one dense layer at the end. It
# is shown all 200 pictures in each epoch, every time shifted, turned and mirrored a little: two hundred pictures are
# few, and a face that moved is still the same face.

# %%
model = face_cnn(input_shape=x.shape[1:], classes=40, softmax=False)
model.compile(Adam(2e-3), SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
history = model.fit(
    x[train],
    persons[train],
    epochs=25,
    batch_size=20,
    validation_data=(x[test], persons[test]),
    augment=Augment(shift=0.04, rotate=5, zoom=0.05),
    verbose=0,
)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained")
for name, label in (("", "learned from"), ("val_", "never seen")):
    left.plot(history.history[f"{name}loss"], label=label)
    right.plot(history.history[f"{name}accuracy"], label=label)
left.set(xlabel="epoch", ylabel="loss", yscale="log")
right.set(xlabel="epoch", ylabel="share of right answers")
left.legend()
plt.show()

# %% [markdown]
# ## Look at what it got wrong
#
# A number says how good it is, the mistakes say why.

# %%
answers = model.predict(x[test]).argmax(axis=1)
wrong = np.flatnonzero(answers != persons[test])
print(f"{len(answers) - len(wrong)} of {len(answers)} right")
for i in wrong[:3]:
    known = x[train][persons[train] == answers[i]][0]
    own = x[train][persons[train] == persons[test][i]][0]
    show(x[test][i], own, known, titles=["asked", "is this person", "taken for this one"])

# %% [markdown]
# ## What did it learn?
#
# The 16 kernels of the first layer, 7x7 each. They began as noise, and after 25 epochs on 200 faces they still look
# much like it.

# %%
show(*np.moveaxis(model.get_layer("conv1").params["kernel"][:, :, 0], -1, 0), columns=8)

# %% [markdown]
# What they do says more than how they look. A face on its way through: the 16 channels that these kernels make of it.

# %%
show(*np.moveaxis(model.up_to("relu1").predict(x[:1])[0], -1, 0), columns=8)

# %% [markdown]
# ## What to take along
#
# - Loss, gradient, step, again. There is no more to training.
# - Only pictures that were never seen tell how good a network is.
# - With crops instead of whole pictures, and in both engines: `minicnn demo`. Over many splits: `minicnn
#   orl-protocol`.
#
# Next: a network with 16 layers, and Keras beside it.
