"""What a network computes: pure functions of arrays, one file per operation, no state.

Every operation comes as ``y, cache = op(x, ...)`` with ``op_backward(dy, cache)`` beside it.
"""
