"""From a recording to its feature stores, in a folder of its own: the stages of the workflow, in this process.

Encoders and the recogniser are loaded once for all recordings. Pictures, sound and features are in files and read in
parts: memory grows by some hundred bytes for each frame, and by a stretch of sound where the recogniser takes it whole.
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from models.apply.heard import Heard
from models.apply.model_folder import Model, RecogniserChoice, changed
from models.apply.recordings import Recording
from pipeline.audio import write_audio
from pipeline.audio_file import AudioFile
from pipeline.corpora.transcripts import not_used
from pipeline.crops import FaceFile
from pipeline.faces.everybody import MIN_SEEN_S, write_everybody
from pipeline.faces.stage import write_faces
from pipeline.features.command import build
from pipeline.features.join import join_stores
from pipeline.features.pieces import read_pieces
from pipeline.features.provenance import attributes
from pipeline.features.run import write_store
from pipeline.records import Finding, InputError, Segment, Unit, Word, write_table
from pipeline.store import FeatureStore
from pipeline.words import registry as recognisers
from pipeline.words.place import place_words

FACELESS = "The model follows no faces, so people are not told apart."
MAX_REMARKS = 5  # of faces and of sound, in the notes of a prediction
AGAIN = "Somebody who looks different after a cut counts as a new person."


@dataclass(frozen=True)
class Prepared:
    """What the stages made of a recording."""

    stores: dict[str, FeatureStore]  # by modality
    faces: FaceFile | None  # None: the model looks for none
    words: list[Word]
    notes: list[str]
    sound_used: bool = False  # whether a sound that the model uses is more than silence


class Stages:
    """The stages up to features as a model had them; raises InputError where encoders or recogniser cannot be used."""

    def __init__(self, model: Model, weights: Path, device: str = "auto", recogniser: RecogniserChoice | None = None):
        if recogniser and "text" not in model.about.features:
            raise InputError(f"--recogniser {recogniser.kind}: the model reads no words; leave it out")
        self.model, self.weights_kept, self.device = model, weights, device
        self.choice = recogniser or model.about.recogniser
        self.extractors = {}
        for modality, feature in model.about.features.items():
            self.extractors[modality] = [
                build(part.extractor, part.options, model.weights(part.weights, weights), device)
                for part in feature.made
            ]
        if "text" in model.about.features and self.choice.kind != recognisers.NONE:
            source = self.choice.weights.source if self.choice.weights else None
            recognisers.check(self.choice.kind, self.choice.options, source)

    @cached_property
    def recogniser(self):
        """The recogniser, loaded where a recording first needs it."""
        folder = self.model.weights(self.choice.weights, self.weights_kept)
        return recognisers.make(self.choice.kind, self.choice.options, folder, self.device)

    def run(self, recording: Recording, folder: Path) -> tuple[Recording, Prepared]:
        """Make faces, sound, words and features of a recording in ``folder``; the recording has whoever was seen."""
        root, unit, segments = recording.root, recording.unit, list(recording.segments)
        notes, faces, words, sound_used = [], None, [], False
        if "video" in self.extractors:
            recording, faces, notes = self._faces(recording, folder / "faces" / f"{unit.unit_id}.h5")
            segments = list(recording.segments)
        elif recording.everybody:
            notes.append(FACELESS)
        audio = folder / "audio" / f"{unit.unit_id}.h5"
        if "audio" in self.extractors or ("text" in self.extractors and self.choice.kind != recognisers.NONE):
            write_audio(root, [(unit, segments)], audio)
            sound = AudioFile(audio)
            notes += _of_sound(sound)
            there = any(len(observed_s) and not silent for observed_s, silent in zip(sound.observed_s, sound.silent))
            sound_used = "audio" in self.extractors and there
        if "text" in self.extractors:
            words, lacking = self._words(root, unit, segments, audio, recording.unused)
            write_table(folder / "words" / f"{unit.unit_id}.tsv", words, Word)
            notes += lacking
        stores = {m: self._features(m, segments, folder, notes) for m in self.extractors}
        return recording, Prepared(stores, faces, words, notes, sound_used)

    def _faces(self, recording: Recording, path: Path) -> tuple[Recording, FaceFile | None, list[str]]:
        """The recording with the people who are seen in it, their faces, if the model looks for any, and the notes."""
        video = recording.root / recording.unit.video if recording.unit.video else None
        how, notes = self.model.about.faces, list[str]()
        followed = how.get("picture", "face") == "face"  # else nobody has looked for one
        if not (recording.everybody and followed):
            write_faces([(video, recording.segments)], path, root=recording.root, **how)
            notes += [FACELESS] if recording.everybody else []
        else:
            segments, brief = write_everybody(video, recording.segments, path, how.get("sample_rate_hz"))
            recording = replace(recording, segments=tuple(segments))
            if brief:
                notes.append(f"Faces seen for less than {MIN_SEEN_S:g} s at a time, which have no track: {brief}.")
        faces = FaceFile(path)
        if recording.frame_time_s is not None:  # else it was said when it was opened
            seen = _of_faces(faces, recording) if followed else []
            notes = [*seen, *_remarks(faces, recording.truncated), *notes]
        return recording, faces if followed else None, notes

    def _words(
        self, root: Path, unit: Unit, segments: list[Segment], audio: Path, unused: str
    ) -> tuple[list[Word], list[str]]:
        """The words of a recording, and what a user must know of them; ``unused``: why no transcript is used."""
        missed: list[Finding] = []
        silent, heard = list[str](), list[Heard]()

        def recognise(group):
            if self.choice.kind == recognisers.NONE:
                silent.append(group[0].segment_id)
                return []
            if not heard:
                wordless = [segment for segment in segments if not segment.text]
                heard.append(Heard(root, unit, wordless, audio, self.recogniser, missed))
            return heard[0].of(group[0])

        words = place_words(root, unit, segments, recognise)
        notes = [f"Speech was not recognised everywhere: {missed[0].reason}."] if missed else []
        if heard and self.choice.code not in ("", recognisers.RECOGNISERS.code_of(self.choice.kind)):
            notes.append(changed(self.choice.kind, "words"))
        if passed := not_used(unit, segments):
            notes.append(f"{passed}.")
        if unused:
            notes.append(f"No transcript beside this recording was used: {unused}.")
        if silent:
            without = "it is without words here" if unused else "none lies beside this recording"
            give = "give one that can be used" if unused else "give one (.vtt, .srt or .tsv of its name)"
            notes.append(
                f"The model reads words, its corpus came with transcripts, and {without}: {give}, or choose a "
                "recogniser with --recogniser."
            )
        elif not words and not missed:
            notes.append("No words were found in it.")
        return words, notes

    def _features(self, modality: str, segments: list[Segment], folder: Path, notes: list[str]) -> FeatureStore:
        """Extract one modality; what a user must know of it is added to ``notes``."""
        segments = sorted(segments, key=lambda s: s.segment_id)
        feature, about, stores = self.model.about.features[modality], self.model.about, []
        for part, (extractor, known) in zip(feature.made, self.extractors[modality], strict=True):
            facts = attributes(
                about.corpus, part.name, part.extractor, extractor, known, segments, folder, about.demonstration
            )
            if facts["extractor_version"] != part.version:
                notes.append(changed(part.extractor, "features"))
            path = folder / "features" / modality / f"{part.name}.h5"
            write_store(path, facts, extractor, read_pieces(segments, folder, extractor), len(segments))
            stores.append(FeatureStore(path))
        if not feature.parts:
            return stores[0]
        path = folder / "features" / f"{modality}.h5"
        join_stores(stores, feature.name, path)
        return FeatureStore(path)


def _of_faces(faces: FaceFile, recording: Recording) -> list[str]:
    """What a user must know of the faces that were found."""
    seen, looked = Counter(), Counter()
    for segment in recording.segments:
        valid = faces[segment.segment_id].valid
        seen[segment.speaker] += int(valid.sum())
        looked[segment.speaker] += len(valid)
    shares = {person: seen[person] / max(frames, 1) for person, frames in sorted(looked.items())}
    if len(shares) > 1 and recording.everybody:
        each = ", ".join(f"{person} in {100 * share:.0f} %" for person, share in shares.items())
        return [
            f"{len(shares)} people are followed, seen in this share of the frames that were looked at: {each}. {AGAIN}"
        ]
    notes = []
    for person, share in shares.items():
        whose = f" of {person}" if len(shares) > 1 else ""
        if share == 0:
            notes.append(f"No face{whose} was found in it.")
        elif share < 0.5:
            notes.append(f"A face{whose} was found in {100 * share:.0f} % of the frames that were looked at.")
    return notes


def _remarks(file: FaceFile | AudioFile, known: str = "") -> list[str]:
    """What a stage remarked on some stretches, the most frequent first, but for what is ``known``."""
    counts = Counter(remark for own in file.remarks for remark in own if remark != known)
    said = [f"{n} of {len(file)} stretches: {remark}." for remark, n in counts.most_common(MAX_REMARKS)]
    others = len(counts) - len(said)
    return said + ([f"{others} more such remarks, each on no more stretches than these."] if others else [])


def _of_sound(audio: AudioFile) -> list[str]:
    """What a user must know of the sound."""
    if all(not len(observed_s) for observed_s in audio.observed_s):
        remark = next((remark for own in audio.remarks for remark in own), "")
        return [f"There is no sound in it{f' ({remark})' if remark else ''}."]
    silent, remarks = sum(map(bool, audio.silent)), _remarks(audio)
    if silent == len(audio):
        return ["Its sound is silent throughout.", *remarks]
    return [*([f"{silent} of {len(audio)} stretches are silent."] if silent else []), *remarks]
