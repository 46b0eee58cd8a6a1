"""Recognising people: what happens between crops of faces and names. Numbers only; photographs are ``detection``'s.

recipe      what was chosen for a training: network, optimiser, augmentation, batches
trainer     one epoch after another, in minicnn (``reference_keras.trainer``: in Keras)
train       a whole training with checkpoints, and its continuation
run         the folder that a training leaves behind
engine      crops -> scores and embeddings, in either engine
views       the same picture seen several times, and the mean of the answers
embedding   the gallery of known faces, as a file
identify    scores or embeddings -> who it is; unknown: when it is nobody
"""
