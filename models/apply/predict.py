"""What a packed model says of recordings: the networks over the features that the stages made, as in training."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.apply.answer import Answer, Face, Row, spoken
from models.apply.card import OTHER_CROPS
from models.apply.model_folder import Model, RecogniserChoice
from models.apply.outputs.page import html
from models.apply.outputs.table import table
from models.apply.recordings import FRAME_S, Recording, Wish, open_recording
from models.apply.stages import Prepared, Stages
from models.apply.temperature import tempered
from models.examples import Examples
from models.inference import Answers, answers, outputs, probabilities
from models.items import frame_items, segment_items
from models.truth import UNKNOWN, Truth
from pipeline.devices import choose_device
from pipeline.records import Assignment, InputError
from pipeline.store import FeatureStore, Rows, StoreWriter
from pipeline.timebase import frame_ranges_s, select_frames, to_grid, uniform_grid_s

MEMORY_GB = 0.5  # size of features in memory; more are read from their files batch by batch
WEIGHTS = Path("results/weights")
BY_SPEAKER = "The model takes each person by the mean and deviation of all that is here of them: give it several turns."
VOICE = "The voice is that of whoever speaks, which need not be the person whose face is followed."


class Shown(Answer):
    """An answer that a notebook draws as its page."""

    def _repr_html_(self) -> str:
        return html(self)


class Predictor:
    """A model ready to predict: encoders and networks are loaded once.

    Raises InputError where the folder is no model of this version, or its encoders cannot be had.
    """

    def __init__(
        self,
        model: str | Path | Model,
        weights: str | Path = WEIGHTS,
        device: str = "auto",
        folds: Sequence[int] = (),
        recogniser: RecogniserChoice | None = None,
        plugs: bool = False,
        scratch: Path | None = None,
    ):
        """Load ``model``; ``weights`` keeps encoders, ``folds`` answer, ``scratch`` has the temporary files."""
        self.scratch = scratch
        self.model = model if isinstance(model, Model) else Model(model, plugs)
        self.device = choose_device(device)
        self.members = [(network.to(self.device), moments) for network, moments in self.model.members(folds)]
        self.stages = Stages(self.model, Path(weights), device, recogniser)

    def predict(self, path: str | Path, **wish):
        """The answer on one recording as a pandas table: a row for each person and turn, window or frame.

        ``wish`` are fields of :class:`models.apply.recordings.Wish`, such as ``window_s=5``.
        """
        return table(self.answer(path, Wish(**wish)))

    def answer(self, path: str | Path, wish: Wish | None = None) -> Shown:
        """Everything the model says of one recording; raises InputError where it cannot be used."""
        recording = open_recording(Path(path), self.model.task.frames, wish or Wish())
        with tempfile.TemporaryDirectory(prefix="affectflow-", dir=self.scratch) as folder:
            recording, prepared = self.stages.run(recording, Path(folder))
            examples = self.examples(recording, prepared, Path(folder))
            values, items = self.predictions(examples)
            return self._answer(Path(path), recording, prepared, examples, values, items)

    def examples(self, recording: Recording, prepared: Prepared, folder: Path) -> Examples:
        """The items of a recording, as training has them; normalisers are those of each network."""
        model = self.model
        training = model.training.model_copy(update={"memory_budget_gb": MEMORY_GB})
        rows = [Assignment(segment.segment_id, 0, "unlabelled") for segment in recording.segments]
        if model.task.frames:
            return frame_items(
                prepared.stores,
                _unlabelled(recording, model, folder / "labels.h5"),
                rows,
                model.task,
                model.network,
                training,
                self.device,
                recording.segments,
            )
        names = model.about.outputs
        unknown = np.full((len(rows), len(names)), np.nan) if model.task.numbers else np.full(len(rows), UNKNOWN)
        return segment_items(
            prepared.stores,
            rows,
            model.task,
            Truth(names, unknown),
            model.network,
            training,
            self.device,
            model.rows_per_step,
            recording.segments,
        )

    def predictions(self, examples: Examples) -> tuple[np.ndarray, Answers]:
        """What each network says: (members, items, outputs) probabilities or numbers, and which item each row is."""
        predictions, found = [], None
        items = examples.items("unlabelled")
        if not len(items):
            raise InputError("there is no frame in it of which anything could be said")
        for network, normalisers in self.members:
            moments = {m: one.to(examples.device, examples.dtype) for m, one in normalisers.items()}
            own = replace(examples, normalisers=moments)
            found = answers(own, items, outputs(network, own, items, self.model.training.batch_size))
            values = found.output if self.model.task.numbers else probabilities(found.output)
            predictions.append(values.astype(np.float32))
        return np.stack(predictions), found

    def _answer(self, source, recording: Recording, prepared: Prepared, examples: Examples, values, items) -> Shown:
        about, task = self.model.about, self.model.task
        said = values.astype(np.float64) if task.numbers else tempered(values, about.temperature)
        mean, spread = said.mean(0), said.std(0)
        by_id = {segment.segment_id: segment for segment in recording.segments}
        rows: list[Row] = []
        for number, segment_id in enumerate(examples.segment_ids):
            segment, at = by_id[segment_id], np.flatnonzero(items.segment == number)
            cells = np.array([[segment.start_s, segment.end_s]])
            if task.frames:
                cells = examples.labels.rows.store[segment_id].time_s
            seen = {m: _share(store, segment_id, cells, task.frames) for m, store in prepared.stores.items()}
            if not any(share.any() for share in seen.values()):
                mean[at] = spread[at] = np.nan
            for k, cell in zip(at, cells):
                observed = {m: float(share[k - at[0]]) for m, share in seen.items()}
                start_s, end_s = map(float, cell)
                rows.append(Row(segment.speaker, start_s, end_s, mean[k], spread[k], observed, frozenset([segment_id])))
        rows.sort(key=lambda row: (row.person, row.start_s))
        persons = sorted({segment.speaker for segment in recording.segments})
        faces = tuple(_face(person, recording, prepared) for person in persons) if prepared.faces else ()
        return Shown(
            source=source,
            model=f"{about.run} of {about.corpus}",
            demonstration=about.demonstration,
            numbers=task.numbers,
            frames=task.frames,
            outputs=tuple(about.outputs),
            duration_s=recording.duration_s,
            rows=tuple(rows),
            faces=faces,
            words=spoken(prepared.words),
            notes=(*self.model.notes, *self._notes(recording, prepared, examples, rows)),
            ranges=dict(about.ranges),
        )

    def _notes(self, recording: Recording, prepared: Prepared, examples: Examples, rows: Sequence[Row]) -> list[str]:
        notes = [*recording.notes, *prepared.notes]
        if prepared.sound_used and prepared.faces and any(row.observed.get("video") for row in rows):
            notes.append(VOICE)
        if self.model.training.normalise == "speaker":
            notes.append(BY_SPEAKER)
        if self.model.about.supplied_crops and any(row.observed.get("video") for row in rows):
            notes.append(OTHER_CROPS)
        if unseen := [row for row in rows if not any(row.observed.values())]:
            what = "frames" if self.model.task.frames else "stretches"
            guessed = sum(bool(np.isfinite(row.values).all()) for row in unseen)
            end = f"; {guessed} are predicted from those around" if guessed else ", so nothing is said of them"
            notes.append(f"In {len(unseen)} of {len(rows)} {what} nothing was observed{end}.")
        for modality, rows_of in examples.tables.items():
            cut = int((rows_of.rows.kept < rows_of.rows.stored).sum())
            if cut:
                fixed = examples.fixed_steps.get(modality)
                end = f"{fixed} rows" if fixed else f"{self.model.training.max_s:g} s"
                notes.append(f"{cut} stretches are longer than the model reads; {modality} ends after {end}.")
        return notes


def load_model(folder: str | Path, **options) -> Predictor:
    """Open a packed model, ready to predict; ``options`` are those of :class:`Predictor`."""
    return Predictor(folder, **options)


def _unlabelled(recording: Recording, model: Model, path: Path) -> FeatureStore:
    """The frames of each segment in the form of frame-wise labels, none of them known."""
    names = list(model.task.targets) or ["label"]
    classes = {} if model.task.numbers else {"classes": model.about.outputs}
    facts: dict = dict.fromkeys(("name", "modality", "extractor", "extractor_version"), "label")
    facts |= {"corpus": model.about.corpus, "config": {"columns": names, **classes}, "weights": {}, "software": {}}
    facts |= {"inputs": "", "demonstration": model.about.demonstration}
    with StoreWriter(path, facts, dim=len(names)) as writer:
        for segment in sorted(recording.segments, key=lambda s: s.segment_id):
            if recording.frame_time_s is None:
                cells = uniform_grid_s(segment.start_s, segment.end_s, FRAME_S)
            else:
                inside = select_frames(recording.frame_time_s, segment.start_s, segment.end_s, None)
                cells = frame_ranges_s(recording.frame_time_s)[inside]
            nothing = np.zeros((len(cells), len(names)), np.float32)
            writer.append(segment.segment_id, Rows(nothing, cells, np.zeros(len(cells), bool)))
    return FeatureStore(path)


def _share(store: FeatureStore, segment_id: str, cells: np.ndarray, frames: bool) -> np.ndarray:
    """Of each of N cells the share of its time for which a modality was observed; of frames whether it was."""
    time_s, valid = (column[slice(*store.row_range(segment_id))] for column in store.rows_table)  # not the values
    if frames:
        return to_grid(np.zeros((len(valid), 0)), time_s, valid, cells)[1].astype(float)
    time_s = np.clip(time_s[valid], *cells[0])
    if not len(time_s):
        return np.zeros(1)
    reached_s = np.maximum.accumulate(np.append(cells[0, 0], time_s[:-1, 1]))
    covered_s = np.clip(time_s[:, 1] - np.maximum(time_s[:, 0], reached_s), 0, None).sum()
    return np.array([min(1.0, covered_s / np.ptp(cells[0]))])


def _face(person: str, recording: Recording, prepared: Prepared) -> Face:
    """Where a person's face is, in order of time; a frame that several segments looked at counts once."""
    tracks = [prepared.faces[s.segment_id] for s in recording.segments if s.speaker == person]
    time_s = np.concatenate([track.time_s for track in tracks]).reshape(-1, 2)
    _, order = np.unique(time_s[:, 0], return_index=True)
    landmarks = np.concatenate([track.landmarks for track in tracks])[order]
    return Face(person, time_s[order], landmarks, np.concatenate([track.valid for track in tracks])[order])
