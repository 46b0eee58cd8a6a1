"""The steps of ``minicnn evaluate``: a run and a dataset -> everything its report and its --json say."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from detection.crop import as_input, standardise
from detection.dataset.load import load_dataset
from minicnn.cli.evaluate_faces import Faces, optional_part, passed_over, read_part
from minicnn.errors import LabelError, LoadError, MinicnnError, MissingDependencyError, explain
from minicnn.recognition.baseline import eigenfaces_svm
from minicnn.recognition.calibration import HeldOut, ask_about, calibrate_run, named_distances
from minicnn.recognition.embedding import load_gallery
from minicnn.recognition.evaluation import classification, mistakes, unknown_rates
from minicnn.recognition.identify import Gallery, person_distances
from minicnn.recognition.left_out import SOURCE as LEFT_OUT
from minicnn.recognition.lfw_pairs import LfwPair, lfw_accuracy, picture_rows
from minicnn.recognition.recipe import Samples
from minicnn.recognition.run import GALLERY
from minicnn.recognition.train import seen_by
from minicnn.recognition.unknown import Threshold, interval
from minicnn.recognition.verification import all_pairs, verify_pairs
from minicnn.report.evaluation import EvaluationPictures, NamedWrongly
from minicnn.report.pictures import Picture, picture
from minicnn.report.text import counted
from minicnn.shapes import Array

MOST_MISTAKES = 30  # shown as pictures
HEIGHT = 112
FEWEST_STRANGERS = 4
SAME = 1e-3  # between embeddings, of length 1, of one picture: both engines round, but no more than this


class Evaluation:
    """One evaluation, step by step. ``by_pairs``: do without people that the run knows, and compare faces only."""

    def __init__(
        self, opened: Any, dataset: Path, part: str, strangers: Path | None, seed: int, *, by_pairs: bool = False
    ) -> None:
        self.run, self.engine, self.identifier = opened.run, opened.engine, opened.identifier
        self.people, self.folder, self.seed = self.run.config.people, dataset, seed
        parts = read_part(dataset, None if part == "all" else part, self.people, self.identifier)
        self.test = parts.known
        self.problem = "" if len(self.test.labels) else "The run knows nobody in this dataset."
        if self.problem and not by_pairs:
            some = ", ".join(parts.stranger_names[:5])
            fix = "Evaluate with the dataset the run was trained on, or one that has some of its people."
            raise LabelError(explain(f"a dataset with people of the run, such as {self.people[0]}", some, fix))
        self.train = optional_part(dataset, "train", self.people, self.identifier)
        self.strangers, others = parts.strangers, parts.stranger_names
        if strangers is not None:
            found = read_part(strangers, None, self.people, self.identifier)
            self.strangers, others = found.strangers, found.stranger_names
            if not others:
                fix = "Strangers are people the run was not trained on."
                raise LabelError(explain("a folder with people the run does not know", "only people it knows", fix))
        self.notes: list[str] = []
        if others:
            faces, people = counted(len(self.strangers.labels), "face"), counted(len(others), "person", "people")
            self.notes.append(f"Strangers to the run: {faces} of {people}.")
        if part != "all":
            self.notes += passed_over(dataset, self.people)
        self.compared = parts.strangers if self.problem else self.test
        self.embeddings, self.logits = self.engine.ask(self.compared.x)
        if self.problem:
            return
        self.gallery, self.gallery_paths = self._gallery()
        nearest = person_distances(self.embeddings, self.gallery, len(self.people))
        if part != "train":
            self.notes += self._trained_on(part)
        self.scores: Array = self.logits if self.logits is not None else -nearest

    def _gallery(self) -> tuple[Gallery, tuple[str, ...]]:
        path = self.run.path(GALLERY)
        if path.exists():
            return load_gallery(path, len(self.people))
        if self.train is None:
            fix = "Finish the training, or give the dataset with its split."
            raise LoadError(explain(f"a run with {GALLERY}", f"none in '{self.run.folder}'", fix))
        return Gallery(self.engine.embed(self.train.x), self.train.labels), self.train.paths

    def _trained_on(self, part: str) -> list[str]:
        """A note if the network has learned faces that it is measured on: a dataset may be split after the training.

        A path alone does not tell, for another dataset may have an anna/1.png too: the embedding has to be the same.
        """
        rows = {path: row for row, path in enumerate(self.gallery_paths)}
        pairs = [(face, rows[path]) for face, path in enumerate(self.test.paths) if path in rows]
        faces, known = np.array(pairs, int).reshape(-1, 2).T
        apart = np.linalg.norm(self.embeddings[faces] - self.gallery.embeddings[known], axis=1)
        learned, of = int((apart < SAME).sum()), len(self.test.labels)
        if not learned:
            return []
        which, fix = f"{part} faces", "train again after the split"
        if part == "all":
            which, fix = "faces", "--part test has only others, if the training was after the split"
        return [f"{learned} of {of} {which} were trained on, so the numbers flatter: {fix}."]

    def naming(self) -> dict[str, Any]:
        """Accuracy, per person, confusion; or why not."""
        if self.problem:
            return {"problem": self.problem}
        return classification(self.scores, self.test.labels, self.people)

    def baseline(self) -> dict[str, Any]:
        """Eigenfaces and a linear SVM on the same faces; or why not."""
        if self.problem or self.train is None:
            return {"problem": self.problem or "the dataset has no training part to learn from"}
        try:
            answer = eigenfaces_svm(self.train.x, self.train.labels, self.test.x, seed=self.seed)
        except MissingDependencyError:
            raise
        except MinicnnError as error:
            return {"problem": str(error)}
        right = int((answer.predicted == self.test.labels).sum())
        faces = len(self.test.labels)
        shares = {"accuracy": right / faces, "interval": interval(right, faces)}
        return {"right": right, **shares, "components": answer.components, "cost": answer.cost}

    def verification(self, far: float) -> dict[str, Any]:
        """Pairs of the part's faces; or why there are none."""
        try:
            return verify_pairs(all_pairs(self.embeddings, self.compared.labels, seed=self.seed), far)
        except LabelError as error:
            return {"problem": str(error)}

    def lfw(self, pairs: tuple[LfwPair, ...]) -> dict[str, Any]:
        """The protocol of LFW on all faces of the dataset, whatever part they are in."""
        dataset = load_dataset(self.folder, None)
        rows = picture_rows(dataset.paths)
        wanted = sorted({rows[each] for pair in pairs for each in (pair.first, pair.second) if each in rows})
        seen = {pair_name for pair in pairs for pair_name in (pair.first[0], pair.second[0])} & set(self.people)
        if seen:
            self.notes.append(
                f"LFW's protocol is meant for strangers; people in its pairs that were trained on: {len(seen)}."
            )
        embeddings = np.zeros((0, 1))
        if wanted:
            embeddings = self.engine.embed(standardise(as_input(dataset.crops[wanted])))
        place = {row: index for index, row in enumerate(wanted)}
        result = lfw_accuracy(pairs, embeddings, {name: place[row] for name, row in rows.items() if row in place})
        flat = asdict(result)
        folds: dict[str, Any] = flat.pop("folds")
        return folds | flat

    def calibrated(self, rate: float) -> dict[str, Threshold]:
        """New thresholds from the dataset's validation part and half of the strangers."""
        held = None if self.problem else optional_part(self.folder, "validation", self.people, self.identifier)
        if held is None:
            fix = "Split it with a validation part: minicnn dataset split."
            raise LabelError(explain("a dataset with validation faces, to calibrate on", "none", fix))
        first, _ = self._strangers()
        if first is None:
            expected = f"{FEWEST_STRANGERS} strangers or more, to calibrate on every other one"
            faces, people = len(self.strangers.labels), len(np.unique(self.strangers.labels))
            came = f"{counted(people, 'person', 'people')} ({counted(faces, 'face')})"
            raise LabelError(explain(expected, came, "Give more with --strangers, or train with --left-out 3."))
        classes, held_out = len(self.people), self._seen(held)
        strangers = ask_about(self._seen(first), self.gallery, classes, held_out)
        found = calibrate_run(self.gallery, classes, held_out, strangers, rate)
        return found | {"distance": replace(found["distance"], faces=first.digests())}

    def unknown(self, thresholds: dict[str, Threshold], calibrated_here: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        """(what the threshold does on the test faces and on strangers, confidences for the plot)."""
        if self.problem or "distance" not in thresholds:
            fix = "give a folder of strangers and --calibrate, or train with --left-out"
            problem = self.problem or f"No threshold was calibrated: {fix}."
            return {"problem": problem}, {"known": [], "strangers": []}
        rest = self._strangers()[1] if calibrated_here else self._strangers_to(thresholds["distance"])
        known = self._distances(HeldOut(self.embeddings, self.test.labels, self.logits))
        right = self.scores.argmax(axis=1) == self.test.labels
        others = self._distances(self._seen(rest)) if len(rest.labels) else None
        shown = {"known": known[right].tolist(), "strangers": [] if others is None else others.tolist()}
        return unknown_rates(thresholds["distance"], known, right, others, rest.labels), shown

    def mistakes(self) -> list[dict[str, Any]]:
        """Every face that was named wrongly, with the names and files of its neighbours."""
        if self.problem:
            return []
        return [
            {
                "path": self.test.paths[wrong["face"]],
                "person": self.people[wrong["label"]],
                "taken_for": self.people[wrong["predicted"]],
                "margin": wrong["margin"],
                "nearest": [
                    {
                        "path": self.gallery_paths[row],
                        "person": self.people[int(self.gallery.labels[row])],
                        "distance": apart,
                    }
                    for row, apart in zip(wrong["nearest"], wrong["distances"], strict=True)
                ],
            }
            for wrong in mistakes(self.scores, self.test.labels, self.embeddings, self.gallery)
        ]

    def pictures(self, wrong: list[dict[str, Any]]) -> EvaluationPictures:
        """The gallery of mistakes; neighbours are shown where the dataset still has their crops."""
        tests = dict(zip(self.test.paths, self.test.crops, strict=True))
        known = dict(zip(self.train.paths, self.train.crops, strict=True)) if self.train else {}
        shown = []
        for each in wrong[:MOST_MISTAKES]:
            face = picture(tests[each["path"]], f"face of {each['person']}", each["path"], height=HEIGHT)
            nearest: list[Picture] = [
                picture(
                    known[n["path"]], f"face of {n['person']}", f"{n['person']}, {n['distance']:.2f}", height=HEIGHT
                )
                for n in each["nearest"]
                if n["path"] in known
            ]
            shown.append(NamedWrongly(face, each["person"], each["taken_for"], nearest))
        return EvaluationPictures(shown, max(0, len(wrong) - MOST_MISTAKES))

    # -- strangers -------------------------------------------------------------------------------------------------

    def _strangers(self) -> tuple[Faces | None, Faces]:
        """(to calibrate on, to measure on): every other person; of fewer than FEWEST_STRANGERS all to measure."""
        faces = self.strangers
        if len(np.unique(faces.labels)) < FEWEST_STRANGERS:
            return None, faces
        first = faces.labels % 2 == 0
        return faces.subset(first), faces.subset(~first)

    def _strangers_to(self, threshold: Threshold) -> Faces:
        """Those who had no part in a threshold that was calibrated before; notes on others, or if nobody knows."""
        if not threshold.faces and threshold.measured.get("source") != LEFT_OUT and len(self.strangers.labels):
            self.notes.append(
                "The threshold does not say whom it was calibrated on, so the strangers' rate may include faces of the "
                "calibration. Calibrate anew to know: --calibrate."
            )
        rest = self.strangers.without(frozenset(threshold.faces))
        if gone := len(self.strangers.labels) - len(rest.labels):
            people = len(np.unique(self.strangers.labels)) - len(np.unique(rest.labels))
            who = f"{counted(gone, 'face')} of {counted(people, 'person', 'people')}"
            self.notes.append(f"{who} were calibrated on, and are left out of the strangers' rate.")
        return rest

    def _seen(self, faces: Faces) -> HeldOut:
        return seen_by(self.engine, Samples(faces.x, faces.labels))

    def _distances(self, faces: HeldOut) -> Array:
        return named_distances(self.gallery, len(self.people), faces)
