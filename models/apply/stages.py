"""From a recording to its feature stores, in a folder of its own: the stages of the workflow, in this process.

Encoders and the recogniser are loaded once for all recordings. Memory is that of the stages: it does not grow with the
length of a recording.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from models.apply.folder import Listener, Model
from models.apply.recordings import Recording
from pipeline.audio import write_audio
from pipeline.audio_file import AudioFile
from pipeline.crops import FaceFile
from pipeline.devices import choose_device
from pipeline.faces.stage import write_faces
from pipeline.features.command import build
from pipeline.features.pieces import read_pieces
from pipeline.features.provenance import attributes
from pipeline.features.run import write_store
from pipeline.records import Finding, Segment, Unit, Word, write_table
from pipeline.store import FeatureStore
from pipeline.words import registry as recognisers
from pipeline.words.place import place_words
from pipeline.words.recognise import listener

LEAST_SEEN_S = 1.0  # for which a second person must be seen to be one


@dataclass(frozen=True)
class Prepared:
    """What the stages made of a recording."""

    stores: dict[str, FeatureStore]  # by modality
    faces: FaceFile | None
    words: list[Word]
    notes: list[str]


class Stages:
    """The stages up to features as a model had them; raises InputError where its encoders cannot be loaded."""

    def __init__(self, model: Model, weights: Path, device: str = "auto", recogniser: Listener | None = None):
        self.model, self.weights_kept, self.device = model, weights, device
        self.listener = recogniser or model.about.recogniser
        self.extractors = {}
        for modality, feature in model.about.features.items():
            folder = model.weights(feature.weights, weights)
            self.extractors[modality] = build(feature.extractor, feature.options, folder, device)
        if "text" in model.about.features and self.listener.kind != recognisers.NONE:
            source = self.listener.weights.source if self.listener.weights else None
            recognisers.check(self.listener.kind, self.listener.options, source)

    @cached_property
    def recogniser(self):
        """What hears words, loaded where a recording first needs it."""
        folder = self.model.weights(self.listener.weights, self.weights_kept)
        return recognisers.make(self.listener.kind, self.listener.options, folder, choose_device(self.device))

    def run(self, recording: Recording, folder: Path) -> tuple[Recording, Prepared]:
        """Make faces, sound, words and features of a recording in ``folder``; the recording has whoever was seen."""
        root, unit, segments = recording.root, recording.unit, list(recording.segments)
        notes, faces, words = [], None, []
        if "video" in self.extractors:
            path = folder / "faces" / f"{unit.unit_id}.h5"
            video = root / unit.video if unit.video else None
            write_faces([(video, segments)], path, root=root, **self.model.about.faces)
            faces = FaceFile(path)
            notes += _of_faces(faces, recording)
            recording = _seen(recording, faces)
            segments = list(recording.segments)
        audio = folder / "audio" / f"{unit.unit_id}.h5"
        if "audio" in self.extractors or ("text" in self.extractors and self.listener.kind != recognisers.NONE):
            write_audio(root, [(unit, segments)], audio)
            notes += _of_sound(AudioFile(audio))
        if "text" in self.extractors:
            words, lacking = self._words(root, unit, segments, audio)
            write_table(folder / "words" / f"{unit.unit_id}.tsv", words, Word)
            notes += lacking
        stores = {m: self._features(m, segments, folder, notes) for m in self.extractors}
        return recording, Prepared(stores, faces, words, notes)

    def _words(self, root: Path, unit: Unit, segments: list[Segment], audio: Path) -> tuple[list[Word], list[str]]:
        """The words of a recording, and what a user must know of them."""
        missed: list[Finding] = []
        silent: list[str] = []

        def hear(group):
            if self.listener.kind == recognisers.NONE:
                silent.append(group[0].segment_id)
                return []
            return listener(self.recogniser, AudioFile(audio).__getitem__, missed)(group)

        words = place_words(root, unit, segments, hear)
        notes = [f"Speech was not recognised everywhere: {missed[0].reason}."] if missed else []
        if silent:
            notes.append(
                "The model reads words, its corpus came with transcripts, and none lies beside this recording: give "
                "one (.vtt, .srt or .tsv of its name), or choose what recognises speech with --recogniser."
            )
        elif not words and not missed:
            notes.append("There are no words in it.")
        return words, notes

    def _features(self, modality: str, segments: list[Segment], folder: Path, notes: list[str]) -> FeatureStore:
        """Extract one modality; what a user must know of it is added to ``notes``."""
        feature, (extractor, known) = self.model.about.features[modality], self.extractors[modality]
        segments = sorted(segments, key=lambda s: s.segment_id)
        path = folder / "features" / f"{modality}.h5"
        about = self.model.about
        facts = attributes(
            about.corpus, feature.name, feature.extractor, extractor, known, segments, folder, about.demonstration
        )
        if facts["extractor_version"] != feature.version:
            notes.append(f"The code of {feature.extractor} has changed since training: features may differ from those.")
        write_store(path, facts, extractor, read_pieces(segments, folder, extractor), len(segments))
        return FeatureStore(path)


def _seen(recording: Recording, faces: FaceFile) -> Recording:
    """The recording with those of two people who were seen long enough; where nobody was, with the first."""
    if not recording.whoever:
        return recording
    seen_s: dict[str, float] = {}
    for segment in recording.segments:
        track = faces[segment.segment_id]
        seen_s[segment.speaker] = seen_s.get(segment.speaker, 0.0) + float(np.ptp(track.time_s[track.valid], 1).sum())
    left = {person for person, seconds in seen_s.items() if seconds >= LEAST_SEEN_S} or {next(iter(seen_s))}
    return replace(recording, segments=tuple(s for s in recording.segments if s.speaker in left))


def _of_faces(faces: FaceFile, recording: Recording) -> list[str]:
    """What a user must know of the faces that were found."""
    if recording.frame_time_s is None:
        return []  # said when it was opened
    persons: dict[str, list[np.ndarray]] = {}
    for segment in recording.segments:
        persons.setdefault(segment.speaker, []).append(faces[segment.segment_id].valid)
    notes = []
    for person, valid in sorted(persons.items()):
        share = float(np.concatenate(valid).mean()) if sum(map(len, valid)) else 0.0
        whose = f" of {person}" if len(persons) > 1 else ""
        if share == 0:
            notes.append(f"No face{whose} was found in it.")
        elif share < 0.5:
            notes.append(f"A face{whose} was found in {share:.0%} of the frames that were looked at.")
    return notes


def _of_sound(audio: AudioFile) -> list[str]:
    """What a user must know of the sound."""
    if all(not len(observed_s) for observed_s in audio.observed_s):
        reason = next((reason for reason in audio.reasons if reason), "")
        return [f"There is no sound in it{f' ({reason})' if reason else ''}."]
    silent = sum(map(bool, audio.silent))
    if silent == len(audio):
        return ["Its sound is silent throughout."]
    return [f"{silent} of {len(audio)} stretches are silent."] if silent else []
