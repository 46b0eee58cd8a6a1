"""minicnn: convolutional networks from scratch, in NumPy and Numba, that give Keras's numbers.

In reading order: shapes and errors; ``minicnn.ops`` (what a network computes); ``minicnn.layers`` (operations with
parameters); losses and optimisers; ``Sequential`` and its training loop; ``minicnn.models`` (face_cnn and VGG-Face).
"""

__version__ = "0.1.0"
