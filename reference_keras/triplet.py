"""The triplet loss with semi-hard mining as a Keras loss: the formula of ``minicnn.ops.triplet``, written anew.

Nothing is shared with the code it is compared with. There, a sort per anchor; here, all N**3 triplets at once, as one
array of (anchor, positive, negative), which is short and, for the batches that people train on, small enough.
"""

from __future__ import annotations

from typing import Any

from reference_keras.backend import load_keras, load_tensorflow


def keras_triplet_loss(margin: float, *, dtype: str = "float32") -> Any:
    """A Keras loss: labels (N,) or (N, 1), embeddings (N, D) -> one loss per anchor, averaged over the batch."""
    keras, tf = load_keras(), load_tensorflow()

    class TripletSemiHardLoss(keras.losses.Loss):  # type: ignore[name-defined, misc]
        def call(self, y_true: Any, y_pred: Any) -> Any:
            labels = tf.reshape(y_true, [-1])
            distances = tf.reduce_sum(tf.square(y_pred[:, None] - y_pred[None]), axis=-1)
            same = labels[:, None] == labels[None]
            positives, negatives = distances[:, :, None], distances[:, None, :]  # (a, p, 1), (a, 1, n)
            endless = tf.constant(float("inf"), distances.dtype)
            beyond = ~same[:, None, :] & (negatives > positives)
            nearest = tf.reduce_min(tf.where(beyond, negatives, endless), axis=-1)
            farthest = tf.reduce_max(tf.where(same, -endless, distances), axis=-1, keepdims=True)
            opposed = tf.where(tf.reduce_any(beyond, axis=-1), nearest, farthest)
            pairs = same & ~tf.eye(tf.shape(labels)[0], dtype=tf.bool) & ~tf.reduce_all(same, axis=-1, keepdims=True)
            hinge = tf.where(pairs, tf.maximum(distances - opposed + margin, 0), 0)
            count = tf.reduce_sum(tf.cast(pairs, distances.dtype), axis=-1)
            return tf.reduce_sum(hinge, axis=-1) / tf.maximum(count, 1)

    return TripletSemiHardLoss(name="triplet_semi_hard", dtype=dtype)
