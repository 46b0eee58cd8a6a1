# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 8. Recognising yourself
#
# The network of notebook 6 knows 40 people and nobody else. To recognise *you*, it would have to be trained anew. Or
# would it? Somebody who has learned to tell people apart also notices what is special about a stranger. So does a
# network: what it computes just before its last layer is a description of a face, and faces of one person have
# descriptions that lie close together, even if the network never met that person.
#
# ## Your pictures
#
# Make a folder `photos` beside this notebook, with a folder per person in it, and in each at least three photographs
# with one face. With a camera:
#
# ```
# minicnn capture Anna --camera 0 --into photos/
# ```
#
# Without any, four people from the AT&T/ORL set stand in for you.

# %%
from pathlib import Path

import numpy as np
from course import crops, own_crops, show
from matplotlib import pyplot as plt

from minicnn import Adam, Augment, SparseCategoricalCrossentropy, UnitNormalization, check_layer, face_cnn

PHOTOS = Path("photos")
SIZE = 64

if PHOTOS.is_dir():
    pictures, who, names = own_crops(PHOTOS, SIZE)
else:
    pictures, who = crops(range(36, 40), shots=5, size=SIZE)
    names = ["Ada", "Ben", "Cem", "Dora"]
    who = who - 36
show(*pictures[:12], titles=[names[i] for i in who[:12]])

# %% [markdown]
# ## A network that never met them
#
# It learns to tell 24 others apart. Their crops are made in the same way: dlib finds the face, a square around it is
# cut out and scaled. (A network that was trained on one kind of crop is lost with another.)

# %%
others, persons = crops(range(24), shots=5, size=SIZE)
model = face_cnn((SIZE, SIZE, 1), classes=24, softmax=False)
model.compile(Adam(2e-3), SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
history = model.fit(
    others, persons, epochs=25, batch_size=20, augment=Augment(shift=0.05, rotate=8, zoom=0.08), verbose=0
)
print(f"of its own people, while they move: {history.history['accuracy'][-1]:.0%} right")

# %% [markdown]
# ## Descriptions
#
# We stop before the last layer and bring every description to length 1, so that only its direction counts. The
# distance of two faces is then a number between 0 and 2.

# %%
describe = model.up_to("flatten")
descriptions = UnitNormalization()(describe.predict(pictures))
distances = np.linalg.norm(descriptions[:, None] - descriptions[None], axis=-1)

plt.figure(figsize=(4.5, 4), layout="constrained")
plt.imshow(distances, cmap="viridis")
plt.colorbar(label="distance")
plt.title("dark squares: the same person", fontsize=9)
plt.show()

# %% [markdown]
# ## Who is it?
#
# One picture of each person is the **gallery**, what we know of them. Every other picture is a question, and the
# answer is whoever is closest.

# %%
gallery = np.array([np.flatnonzero(who == person)[0] for person in range(len(names))])
questions = np.setdiff1d(np.arange(len(who)), gallery)
closest = distances[questions][:, gallery].argmin(axis=1)
print(f"{(closest == who[questions]).sum()} of {len(questions)} right, by a single picture of each")

# %% [markdown]
# ## And who is a stranger?
#
# Somebody is always closest. To say "I do not know you", a distance must be too large. Too large is what hardly
# occurs between two pictures of one person; the people of the training, whom the network knows, are too easy to ask
# about that. So look at the pairs of people it never met:

# %%
pairs = np.triu_indices(len(who), k=1)
same = who[pairs[0]] == who[pairs[1]]
plt.figure(figsize=(6, 2.4), layout="constrained")
for chosen, label in ((same, "one person"), (~same, "two people")):
    plt.hist(distances[pairs][chosen], np.linspace(0, 1.6, 50), density=True, alpha=0.6, label=label)
plt.xlabel("distance of a pair")
plt.legend()
plt.show()

thresholds = np.linspace(0, 1.6, 161)
wrong = [((distances[pairs] > t) == same).mean() for t in thresholds]
best = thresholds[int(np.argmin(wrong))]
print(f"best threshold {best:.2f}: {min(wrong):.0%} of all pairs are judged wrongly")

# %% [markdown]
# With so few people this number is a guess, and an optimistic one: it was chosen on the very pairs it is judged by.
# `minicnn evaluate` does it properly, with people for calibrating and others for testing.
#
# ## Exercise: why one photograph of you must not be normalised by itself
#
# The network normalises after every convolution. In training, by the mean and variance of the batch. Your one
# photograph is no batch: normalised by itself, it would lose what makes it yours. So in inference, the layer uses
# statistics that it gathered in training. The function below forgets that, and `check_layer` notices.


# %% tags=["exercise"]
def batch_normalization(x, gamma, beta, moving_mean, moving_variance, training, epsilon):
    """(N, ..., C) and four arrays (C,) -> (N, ..., C)"""
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axis=axes), x.var(axis=axes)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


# %% tags=["check"]
check_layer(batch_normalization, "BatchNormalization")

# %% [markdown]
# ## From here on
#
# What you did by hand, for a whole folder of people, in the terminal:
#
# ```
# minicnn dataset build photos/ faces/ --policy alike
# minicnn dataset split faces/ --test 0.25 --validation 0.15
# minicnn train faces/ --out runs/faces --objective triplet
# minicnn evaluate runs/faces faces/ --report out.html
# minicnn recognise runs/faces holiday/ --out named/
# ```
#
# ## What to take along
#
# - A network that tells people apart can describe people it never met.
# - Compare descriptions by distance, and have a threshold for "I do not know".
# - Photographs of people are theirs. These never left your computer; ask before you collect other people's.
#
# That was the course. You have seen every number of it, forward and backward.
