"""A run that answers: network, gallery and thresholds put together.

    identifier = Identifier.open(run, MinicnnEngine(run))
    answers = identifier.answers(x)                        # x standardised crops (N, H, W, C)
    run.config.people[answers.index[0]]

A softmax run names people by its scores, a triplet run by the nearest face of its gallery; in both, somebody who is too
far from every face of that name is unknown. Either engine will do, which is how the two are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

from minicnn.errors import ShapeError, StateError, explain
from minicnn.recognition.embedding import load_gallery
from minicnn.recognition.engine import Engine
from minicnn.recognition.identify import Answers, Gallery, decide, person_distances
from minicnn.recognition.run import GALLERY, Run, RunConfig
from minicnn.recognition.unknown import Threshold, load_thresholds
from minicnn.shapes import Array


@dataclass(frozen=True, eq=False)
class Identifier:
    """``gallery`` is missing in a run that was not finished; without a threshold on the distance nobody is unknown."""

    config: RunConfig
    engine: Engine
    gallery: Gallery | None
    thresholds: dict[str, Threshold]

    @classmethod
    def open(cls, run: Run, engine: Engine) -> Identifier:
        """Gallery and thresholds from the run's folder. Raises LoadError for damaged files."""
        path = run.path(GALLERY)
        gallery = load_gallery(path, len(run.config.people))[0] if path.exists() else None
        return cls(run.config, engine, gallery, load_thresholds(run.folder))

    @property
    def softmax(self) -> bool:
        """Does the run name people by scores of its own?"""
        return self.config.objective == "softmax"

    @property
    def threshold(self) -> Threshold | None:
        """Who is farther from every face of a name than this does not get it."""
        return self.thresholds.get("distance")

    @property
    def pair_threshold(self) -> Threshold | None:
        """Two faces that are farther apart than this are of different people, whom the run need not know."""
        return self.thresholds.get("pair")

    def answers(self, x: Array) -> Answers:
        """Who is on the crops ``x`` (N, H, W, C)?"""
        self.check_input(x)
        gallery = self.require_gallery()
        embeddings, logits = self.engine.ask(x)
        return decide(person_distances(embeddings, gallery, len(self.config.people)), logits, self.threshold)

    def scores(self, x: Array) -> Array:
        """How alike each person is, (N, K): logits, or minus the distance to that person's nearest gallery face."""
        self.check_input(x)
        if self.softmax:
            return self.engine.logits(x)
        scores: Array = -person_distances(self.engine.embed(x), self.require_gallery(), len(self.config.people))
        return scores

    def require_gallery(self) -> Gallery:
        """The gallery. Raises StateError for a run that has none."""
        if self.gallery is None:
            fix = "A training that was finished writes it: minicnn train DATASET --out RUN --resume."
            raise StateError(explain("a run with a gallery of known faces", f"no {GALLERY} in it", fix))
        return self.gallery

    def check_input(self, x: Array) -> None:
        """Raise ShapeError for crops of another size or colour than the network's."""
        if x.shape[1:] != self.config.input_shape:
            rows, _, channels = self.config.input_shape
            colour = "grey" if channels == 1 else "rgb"
            fix = f"Cut the faces out with size {rows} and colour {colour}, as for the training."
            raise ShapeError(explain(f"crops {self.config.input_shape}, as the run was trained on", x.shape[1:], fix))
