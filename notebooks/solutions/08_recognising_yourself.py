"""Solution to the exercise of notebook 8."""

import numpy as np


def batch_normalization(x, gamma, beta, moving_mean, moving_variance, training, epsilon):
    """(N, ..., C) and four arrays (C,) -> (N, ..., C)"""
    axes = tuple(range(x.ndim - 1))
    mean, variance = (x.mean(axis=axes), x.var(axis=axes)) if training else (moving_mean, moving_variance)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta
