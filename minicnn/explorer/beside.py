"""Another framework's numbers for the same network and the same face, computed in the background.

The explorer knows no other framework. Whoever starts it passes a ``Reference``; without one, a sentence that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from minicnn.errors import MinicnnError
from minicnn.model import Model
from minicnn.shapes import Array

Numbers = Mapping[str, Array]  # by names of layers, with the batch axis

#: (model, x, dy of the output) -> every layer's output, and the gradient of each
Reference = Callable[[Model, Array, Array], tuple[Numbers, Numbers]]


class Beside:
    """Asks ``reference`` in a thread of its own, one question after the other; the newest answer is kept.

    ``absent`` says why there is none.
    """

    def __init__(self, reference: Reference | None, absent: str = "") -> None:
        self.reference, self.absent = reference, absent
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="beside")
        self._asked: tuple[Hashable, Future[tuple[Numbers, Numbers]]] | None = None

    def ask(self, question: Hashable, model: Model, x: Array, dy: Array) -> None:
        """Begin to compute, unless this ``question`` is the one that was asked last."""
        if self.reference is not None and (self._asked is None or self._asked[0] != question):
            if self._asked is not None:
                self._asked[1].cancel()
            self._asked = question, self._thread.submit(self.reference, model, x, dy)

    def number(self, direction: int, name: str, place: tuple[int, ...]) -> dict[str, Any]:
        """One number of the answer to the last question, for JSON: its status, and its value or a message.

        ``direction`` 0 is forward, 1 backward.
        """
        if self.reference is None or self._asked is None:
            return {"status": "absent", "message": self.absent}
        future = self._asked[1]
        if not future.done():
            return {"status": "working", "message": "Keras is computing …"}
        try:
            numbers = future.result()[direction]
        except MinicnnError as error:
            return {"status": "failed", "message": str(error)}
        if name not in numbers:
            return {"status": "failed", "message": "Keras computes no such number."}
        return {"status": "ready", "value": float(numbers[name][place])}

    def wait(self) -> None:
        """Until the last question is answered."""
        if self._asked is not None:
            self._asked[1].exception()

    def close(self) -> None:
        """Let go of what is not begun."""
        self._thread.shutdown(wait=False, cancel_futures=True)
