"""Keras's own tests, run with minicnn's numbers.

The installed package brings the tests of its layers, losses, optimisers, activations, metrics, schedules and
initialisers. They carry what Keras's authors hold to be right: literal numbers, and grids of parameters with a NumPy
formula. ``runner`` loads them from the installed package (nothing of them is copied here), with ``shims`` in the place
of Keras's classes: subclasses whose arithmetic, and nothing else, is minicnn's.
"""

from reference_keras.replay.runner import FILES, Outcome, replay

__all__ = ["FILES", "Outcome", "replay"]
