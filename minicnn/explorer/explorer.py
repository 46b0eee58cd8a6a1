"""What the explorer holds: a network, the photograph it looks at, its training, and another framework's numbers.

Several requests may come at once; only one computes at a time, because the thread pools of compiled code are not made
for two callers. So everything here that computes is asked under ``lock``.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from minicnn.explorer.beside import Beside
from minicnn.explorer.photo import Photo, PhotoReader
from minicnn.explorer.replay import Replay
from minicnn.explorer.scene import BACKWARD, Scene, require_explorable
from minicnn.model import Model

T = TypeVar("T")


@dataclass(frozen=True)
class Subject:
    """The network that is explored: what its classes are called, and a sentence about it ("its weights are random").

    ``embeds``: its outputs are the numbers of an embedding, not scores of classes.
    """

    model: Model
    classes: tuple[str, ...] = ()
    note: str = ""
    embeds: bool = False

    def class_name(self, number: int) -> str:
        if self.embeds:
            return f"number {number}"
        return self.classes[number] if number < len(self.classes) else f"class {number}"


class Explorer:
    """Raises OptionError for a network that has several inputs or outputs, ShapeError for a photo that does not fit."""

    def __init__(
        self,
        subject: Subject,
        photo: Photo,
        read_photo: PhotoReader,
        *,
        beside: Beside | None = None,
        replay: Replay | None = None,
    ) -> None:
        require_explorable(subject.model)
        self.subject, self.read_photo = subject, read_photo
        self.beside = beside or Beside(None, "No other framework was asked.")
        self.replay = replay or Replay()
        self.lock = threading.RLock()
        # Of the photograph, in the addresses of its pictures. From anywhere: a browser keeps pictures for a while, and
        # the explorer that ran before this one had the same port.
        self.number = secrets.randbelow(2**31)
        self._scene = Scene(subject.model, photo)
        self._past: tuple[tuple[int, int], Scene] | None = None

    def under_lock(self, answer: Callable[..., T], *arguments: Any, **words: Any) -> T:
        """``answer(*arguments, **words)``, when nobody else computes."""
        with self.lock:
            return answer(*arguments, **words)

    def look_at(self, data: bytes, name: str) -> None:
        """Another photograph, as the bytes of its file. Raises what ``read_photo`` raises; then the old one stays."""
        with self.lock:
            scene = Scene(self.subject.model, self.read_photo(data, name))
            self._scene, self.number = scene, self.number + 1

    def scene(self, epoch: int | None = None) -> Scene:
        """The network as it is, or as it was after ``epoch``. Raises OptionError for an epoch that was not kept."""
        if epoch is None:
            return self._scene
        key = (self.number, epoch)
        if self._past is None or self._past[0] != key:
            self._past = key, Scene(self.replay.model(epoch), self._scene.photo)
        return self._past[1]

    def number_beside(
        self, direction: str, name: str, index: tuple[int, ...], target: int | None, epoch: int | None
    ) -> dict[str, Any]:
        """The other framework's number in the same place; asks for it first."""
        self.ask_beside(target, epoch)
        return self.beside.number(int(direction == BACKWARD), name, (0, *index))

    def ask_beside(self, target: int | None, epoch: int | None) -> None:
        """Let the other framework begin, if there is one."""
        if self.beside.reference is None:
            return
        scene = self.scene(epoch)
        question = (self.number, epoch, scene.best if target is None else target)
        self.beside.ask(question, scene.model, scene.photo.x, scene.output_gradient(target))
