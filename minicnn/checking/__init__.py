"""Check your own code: run it on a grid of cases, and hear what is wrong and why.

    def conv(x, kernel, bias, strides, padding):
        ...
        return y

    print(minicnn.check_layer(conv, "Conv2D"))                   minicnn check my_conv.py:conv --layer Conv2D

**What your function is called with.** Arguments are given by name. Have those you like of the names below, in any
order; options that you leave out have Keras's default in every case. Arrays are float64, pictures (N, H, W, C),
kernels (KH, KW, C, F), pairs are tuples. ``bias`` is None in some cases if you write ``bias=None``.

    Conv2D, DepthwiseConv2D     x, kernel, bias, strides, padding, dilation_rate       padding is "valid" or "same";
                                ``stride`` and ``dilation`` instead, for one number for both axes
    Dense                       x, kernel, bias
    MaxPooling2D, AveragePooling2D              x, pool_size, strides (None: the pool size), padding
    GlobalMaxPooling2D, GlobalAveragePooling2D  x, keepdims
    BatchNormalization          x, gamma, beta, moving_mean, moving_variance, training, momentum, epsilon
    ReLU; LeakyReLU; Softmax    x; x, negative_slope; x, axis
    Flatten; ZeroPadding2D      x; x, padding as ((top, bottom), (left, right))
    Dropout                     x, mask (True where a number is kept), rate, training
    CategoricalCrossentropy, SparseCategoricalCrossentropy      y_true, y_pred, from_logits, label_smoothing
    SGD                         variable, gradient, momentum, learning_rate, mu (the setting momentum), nesterov
    Adam                        variable, gradient, momentum, velocity, step (from 1), learning_rate, beta_1,
                                beta_2, epsilon
    RMSprop; Adagrad            variable, gradient, velocity, learning_rate, rho, epsilon; accumulator for velocity

A backward pass has ``dy`` as well, and ``y`` where it helps (activations, pooling of one formula).

**What it returns.** Forward: y; ``(y, cache)`` is fine too. BatchNormalization: y, or (y, moving_mean,
moving_variance). Losses: the mean loss. Backward: dx, or (dx, dkernel, dbias), (dx, dgamma, dbeta); of a loss, the
gradient with respect to y_pred. Optimisers: the new variable, or (variable, and its slots in the order above). A dict
under these names, and no others, is fine as well. What is left out is not checked, and the report says so; with
``complete=True`` it is wrong to leave anything out.

**What is done with it.** Each case is computed in float64 and compared with the formula. For every result that is
wrong, the mistakes people make (``SUBJECTS[layer, direction].mistakes``) are tried: what would the numbers be? One is
named only if it gives what the function gave, in every case. See ``diagnosis``, ``judging``, and ``subject``.

Your function is executed, with your rights: check your own code, or code that you would run anyway.
"""

from minicnn.checking.checker import check_layer
from minicnn.checking.report import CheckReport
from minicnn.checking.subjects import SUBJECTS

__all__ = ["SUBJECTS", "CheckReport", "check_layer"]
