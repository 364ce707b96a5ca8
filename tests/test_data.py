"""What a network is given: rows, masks, normalisation, time grids, windows and batches, against brute force."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader

from models.data import SegmentDataset, collate
from models.examples import evaluation_batches, training_batches
from models.inference import average_windows
from models.items import cut_windows, fitted, segment_items
from models.normaliser import Normaliser
from models.options import NetworkOptions, TrainingOptions
from models.sources import GridRows, StoredRows, Table
from models.task import Task
from models.truth import segment_truth
from pipeline.records import Assignment, InputError, read_fold, write_table
from pipeline.store import FeatureStore, Rows
from pipeline.timebase import to_grid
from tests.training_material import (
    CLASSES,
    DIMS,
    class_split,
    emotional_turns,
    frame_examples,
    frame_labels,
    frame_rows,
    frame_split,
    segment_examples,
    turn_rows,
    videos,
    write_store,
)

SEGMENTS, FRAMES = Task("classes", "segment"), Task("numbers", "frame", ("valence", "arousal"))
SELF, RCMA = NetworkOptions(fusion="self_attention"), NetworkOptions(fusion="rcma")


@pytest.fixture(scope="module")
def turns(tmp_path_factory):
    """Segments, their rows per modality, the feature stores, and fold 0 of leave one session out."""
    folder = tmp_path_factory.mktemp("turns")
    segments = emotional_turns()
    missing = {"video": [segments[5].segment_id, segments[40].segment_id]}
    rows = {m: turn_rows(segments, m, missing=missing.get(m, ())) for m in DIMS}
    stores = {m: FeatureStore(write_store(folder / f"{m}.h5", rows[m], m, "float16" if m == "text" else "float32"))
              for m in DIMS}  # fmt: skip
    split = folder / "split.tsv"
    write_table(split, class_split(segments), Assignment)
    return segments, rows, stores, split


@pytest.fixture(scope="module")
def tracks(tmp_path_factory):
    """Segments, labels, rows per modality and stores of a frame-wise corpus, and its official split."""
    folder = tmp_path_factory.mktemp("tracks")
    segments = videos()
    labels = frame_labels(segments)
    rows = {m: frame_rows(labels, m) for m in DIMS}
    stores = {m: FeatureStore(write_store(folder / f"{m}.h5", rows[m], m, corpus="affwild2")) for m in DIMS}
    truth = FeatureStore(write_store(folder / "labels.h5", labels, "label", corpus="affwild2"))
    return segments, labels, rows, stores, truth, frame_split(segments)


ROWS_IN_1_2_S = {"audio": 60, "video": 12, "text": 4}
"""Every 20, 100 and 300 ms, from the beginning of a segment."""


def options(**changes):
    return TrainingOptions(seeds=[1], **changes)


def segments_of(stores, split, *rest, rows=None):
    """Fold 0 of a split as examples of classes of segments."""
    rows = read_fold(split, 0) if rows is None else rows
    return segment_examples(stores, rows, SEGMENTS, segment_truth(SEGMENTS, split, rows, None), *rest)


def brute_grid(rows, cells):
    """Mean of the valid rows that a cell overlaps, weighted by overlap: one loop per cell and row."""
    values, seen = np.zeros((len(cells), rows.values.shape[1])), np.zeros(len(cells), bool)
    for g, (c, d) in enumerate(cells):
        weight = 0.0
        for value, (a, b), valid in zip(rows.values, rows.time_s, rows.valid):
            overlap = min(b, d) - max(a, c)
            if valid and overlap > 1e-9:
                values[g] += overlap * value
                weight += overlap
        if weight:
            values[g] /= weight
            seen[g] = True
    return values, seen


def scaled(rows, training, cut=None):
    """StandardScaler fitted on the valid rows of the training segments."""
    stacked = np.concatenate([rows[i].values[:cut][rows[i].valid[:cut]] for i in training]).astype(np.float64)
    return StandardScaler().fit(stacked)


# Normalisation


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(-1e4, 1e4), st.floats(1e-2, 1e3), st.lists(st.integers(0, 50), max_size=6))
def test_normaliser_is_the_standard_scaler_over_valid_rows(seed, shift, scale, sizes):
    rng = np.random.default_rng(seed)
    blocks = [(rng.normal(shift, scale, (n, 3)), rng.random(n) > 0.3) for n in [*sizes, 7]]
    blocks[-1][1][:2] = True
    found = Normaliser.fit(((torch.from_numpy(v), torch.from_numpy(m)) for v, m in blocks), 3)
    truth = StandardScaler().fit(np.concatenate([v[m] for v, m in blocks]))
    np.testing.assert_allclose(found.mean, truth.mean_, rtol=1e-5, atol=1e-5 * scale)
    np.testing.assert_allclose(found.std, truth.scale_, rtol=1e-5)


def test_a_constant_feature_is_shifted_and_an_unseen_modality_left_alone():
    values = torch.tensor([[3.0, 1.0], [3.0, 2.0], [9.0, 9.0]])
    valid = torch.tensor([True, True, False])
    normalised = Normaliser.fit([(values, valid)], 2)(values, valid)
    np.testing.assert_allclose(normalised, [[0, -1], [0, 1], [0, 0]])
    nothing = Normaliser.fit([], 2)
    assert nothing.mean.tolist() == [0, 0]
    assert nothing.std.tolist() == [1, 1]


@pytest.mark.parametrize("network", [SELF, RCMA])
def test_only_training_rows_decide_the_normalisation(turns, tmp_path, network):
    _, rows, stores, split = turns
    fold = read_fold(split, 0)
    training = [a.segment_id for a in fold if a.part == "training"]
    spoiled = {}
    for m in DIMS:
        other = {i: r if i in training else Rows(r.values * 100 + 1000, r.time_s, r.valid) for i, r in rows[m].items()}
        spoiled[m] = FeatureStore(write_store(tmp_path / f"{m}.h5", other, m, str(stores[m].dtype)))
    one = segments_of(stores, split, network, options())
    other = segments_of(spoiled, split, network, options())
    for m in DIMS:
        assert torch.equal(one.normalisers[m].mean, other.normalisers[m].mean)
        assert torch.equal(one.normalisers[m].std, other.normalisers[m].std)
    items = one.items("training")[:9]
    assert torch.equal(one.batch(items).values["audio"], other.batch(items).values["audio"])
    tests = one.items("test")[:9]
    assert not torch.equal(one.batch(tests).values["audio"], other.batch(tests).values["audio"])


def test_without_normalisation_features_are_as_they_were_extracted(turns):
    _, rows, stores, split = turns
    examples = segments_of(stores, split, SELF, options(normalise=False, grid_hop_s=0.001))
    item = examples.items("test")[:1]
    row = rows["audio"][examples.segment_ids[examples.segment[item[0]]]]
    assert np.array_equal(examples.batch(item).values["audio"][0][row.valid], row.values[row.valid])


# Segments


def test_rows_by_speaker_are_those_of_a_scaler_for_each(turns):
    segments, rows, stores, _ = turns
    speakers = {s.segment_id: s.speaker for s in segments}
    ids = sorted(speakers)
    scalers = {
        who: scaled(rows["audio"], [i for i in ids if speakers[i] == who]) for who in sorted(set(speakers.values()))
    }
    found = StoredRows(stores["audio"], ids, speakers=speakers)
    blocks = {ids[i]: values for i, _, values, _ in found.blocks(np.ones(len(ids), bool))}
    for n, segment_id in enumerate(ids):
        truth, valid = (
            scalers[speakers[segment_id]].transform(rows["audio"][segment_id].values),
            rows["audio"][segment_id].valid,
        )
        values, mask = found.read(n, 0, found.count[n])
        np.testing.assert_allclose(values[mask], truth[valid], atol=1e-5)
        np.testing.assert_array_equal(blocks[segment_id], values)


def test_by_speaker_counts_all_there_is_of_a_speaker_in_whatever_part_of_whatever_fold(turns, tmp_path):
    """Scenario leaves most turns of a tested speaker out of a fold: they count, and the data set has them as a job."""
    segments, rows, stores, _ = turns
    split = tmp_path / "scenario.tsv"
    write_table(split, class_split(segments, "scenario"), Assignment)
    speakers = {s.segment_id: s.speaker for s in segments}

    def of_speaker(segment_id):
        return scaled(rows["audio"], [i for i in speakers if speakers[i] == speakers[segment_id]])

    audio = {"audio": stores["audio"]}
    for number in (0, 7):
        fold = read_fold(split, number)
        tested = [a.segment_id for a in fold if a.part == "test"]
        assert 2 * len(tested) < sum(speakers[i] in {speakers[j] for j in tested} for i in speakers)
        by_speaker = {
            a.segment_id: of_speaker(a.segment_id).transform(rows["audio"][a.segment_id].values) for a in fold
        }
        trained = [by_speaker[a.segment_id][rows["audio"][a.segment_id].valid] for a in fold if a.part == "training"]
        scaler = StandardScaler().fit(np.concatenate(trained))
        network, training = SELF, options(normalise="speaker", grid_hop_s=0.001)
        truth = segment_truth(SEGMENTS, split, fold, None)
        examples = segment_items(audio, fold, SEGMENTS, truth, network, training, segments=segments)
        batch = (examples := fitted(examples, network, training)).batch(examples.items("test"))
        data = SegmentDataset.from_split(audio, split, number, "test", speakers=speakers)
        assert data.segment_ids == tested
        for k, segment_id in enumerate(tested):
            valid = rows["audio"][segment_id].valid
            expected = scaler.transform(by_speaker[segment_id])[valid]
            np.testing.assert_allclose(batch.values["audio"][k][: len(valid)][valid], expected, atol=1e-4)
            np.testing.assert_allclose(data[k].values["audio"][valid], expected, atol=1e-4)


@pytest.mark.parametrize("network", [SELF, RCMA])
def test_by_speaker_no_microphone_counts(turns, tmp_path, network):
    """Each speaker's features in a unit and with an offset of their own, and every batch is as it was."""
    segments, rows, stores, split = turns
    fold, speakers = read_fold(split, 0), {s.segment_id: s.speaker for s in segments}
    other = {}
    for m in DIMS:
        gain = {who: 1.5 + n for n, who in enumerate(sorted(set(speakers.values())))}
        moved = {i: Rows((r.values - 3) * gain[speakers[i]], r.time_s, r.valid) for i, r in rows[m].items()}
        other[m] = FeatureStore(write_store(tmp_path / f"{m}.h5", moved, m))
    truth = segment_truth(SEGMENTS, split, fold, None)

    def batch(given, normalise):
        found = segment_items(given, fold, SEGMENTS, truth, network, options(normalise=normalise), segments=segments)
        found = fitted(found, network, options(normalise=normalise))
        return found.batch(found.items("test")[:20]).values

    plain, spoken = ({m: (a[m] - b[m]).abs().max() for m in DIMS} for a, b in (
        (batch(stores, True), batch(other, True)), (batch(stores, "speaker"), batch(other, "speaker"))
    ))  # fmt: skip
    assert min(plain.values()) > 0.5
    assert max(spoken.values()) < 0.02  # text is stored in half precision


def test_segment_batches_hold_every_row_normalised_and_masked(turns):
    _, rows, stores, split = turns
    fold = read_fold(split, 0)
    examples = segments_of(stores, split, SELF, options(max_s=1.2, grid_hop_s=1e-3))
    training = [a.segment_id for a in fold if a.part == "training"]
    seen = 0
    for group in evaluation_batches(np.arange(len(fold)), examples.length, 7):
        batch = examples.batch(group)
        for m in DIMS:
            cut = ROWS_IN_1_2_S[m]
            scaler = scaled(rows[m], training, cut)
            lengths = [len(rows[m][fold[i].segment_id].values[:cut]) for i in group]
            assert batch.values[m].shape == (len(group), max(1, *lengths), DIMS[m])
            for b, i in enumerate(group):
                row, n = rows[m][fold[i].segment_id], lengths[b]
                mask = np.zeros(batch.masks[m].shape[1], bool)
                mask[:n] = row.valid[:n]
                assert np.array_equal(batch.masks[m][b], mask)
                expected = np.zeros(batch.values[m].shape[1:])
                if n:
                    expected[:n] = np.where(row.valid[:n, None], scaler.transform(row.values[:n]), 0)
                tolerance = 5e-3 if m == "text" else 2e-5  # stored as float16
                np.testing.assert_allclose(batch.values[m][b], expected, atol=tolerance)
        assert [CLASSES[t] for t in batch.target] == [fold[i].label for i in group]
        seen += len(group)
    assert seen == len(fold)


def test_rows_faster_than_a_step_are_averaged(turns):
    """Audio every 20 ms by fives, the most, video every 100 ms by twos, words not; a last step of fewer, too."""
    _, rows, stores, split = turns
    fold = read_fold(split, 0)
    for budget_gb in (4.0, 1e-9):
        examples = segments_of(stores, split, SELF, options(max_s=1.2, grid_hop_s=0.2, memory_budget_gb=budget_gb))
        batch = examples.batch(np.arange(9))
        for m, pool in {"audio": 5, "video": 2, "text": 1}.items():
            back = batch.values[m] * examples.normalisers[m].std + examples.normalisers[m].mean
            for b in range(9):
                row, n = rows[m][fold[b].segment_id], min(len(rows[m][fold[b].segment_id]), ROWS_IN_1_2_S[m])
                steps = range(0, n, pool)
                assert examples.count[m][b] == len(steps)
                for k, a in enumerate(steps):
                    seen = row.values[a : min(a + pool, n)][row.valid[a : min(a + pool, n)]]
                    assert batch.masks[m][b, k] == bool(len(seen))
                    if len(seen):
                        np.testing.assert_allclose(back[b, k], seen.mean(0), atol=2e-2 if m == "text" else 1e-4)


def test_a_missing_modality_is_one_masked_step_and_is_told(turns, caplog):
    segments, _, stores, split = turns
    caplog.set_level("INFO")
    fold = read_fold(split, 0)
    examples = segments_of(stores, split, SELF, options(max_s=1.2))
    (item,) = (k for k, a in enumerate(fold) if a.segment_id == segments[5].segment_id)
    batch = examples.batch(np.array([item]))
    assert batch.values["video"].shape == (1, 1, DIMS["video"])
    assert not batch.masks["video"].any()
    assert not batch.values["video"].any()
    assert examples.absent == {"audio": 0, "video": 2, "text": 0}
    assert "video: 2 of 120 segments have no valid row" in caplog.text
    longer = sum(len(stores["audio"][a.segment_id]) > 60 for a in fold)
    assert f"audio: {longer} of 120 segments are cut, to 60 rows at most" in caplog.text


def test_a_faithful_model_gets_rows_up_to_the_published_lengths_in_float64(turns):
    _, _, stores, split = turns
    faithful = NetworkOptions(fusion="self_attention", faithful=True)
    examples = segments_of(stores, split, faithful, options(max_s=0.2))
    fold = read_fold(split, 0)
    for items in (examples.items("test")[:3], examples.items("training")[:2]):
        batch = examples.batch(items)
        stored = {m: max(len(stores[m][fold[i].segment_id]) for i in items) for m in stores}
        published = {"audio": 1000, "video": 32, "text": 128}
        assert {m: v.shape[1] for m, v in batch.values.items()} == {m: min(stored[m], published[m]) for m in published}
        assert {v.dtype for v in batch.values.values()} == {torch.float64}
    assert examples.max_steps == {"audio": 1000, "video": 32, "text": 128}


@pytest.mark.parametrize("network", [RCMA, NetworkOptions(fusion="self_attention", one_grid=True)])
def test_a_network_of_one_grid_gets_all_modalities_on_it(turns, network):
    _, rows, stores, split = turns
    fold = read_fold(split, 0)
    examples = segments_of(stores, split, network, options(grid_hop_s=0.25))
    items = examples.items("test")[[0, 3, 7]]
    batch = examples.batch(items)
    for b, item in enumerate(items):
        mine = {m: rows[m][fold[item].segment_id] for m in DIMS}
        begin = min(r.time_s[0, 0] for r in mine.values() if len(r))
        end = max(r.time_s[-1, 1] for r in mine.values() if len(r))
        count = int(np.ceil((end - begin) / 0.25 - 1e-6))
        cells = begin + 0.25 * np.arange(count)[:, None] + [0, 0.25]
        assert {m: int(examples.count[m][item]) for m in DIMS} == dict.fromkeys(DIMS, count)
        for m in DIMS:
            values, seen = brute_grid(mine[m], cells)
            assert np.array_equal(batch.masks[m][b, :count], seen)
            assert not batch.masks[m][b, count:].any()
            normaliser = examples.normalisers[m]
            back = batch.values[m][b, :count] * normaliser.std + normaliser.mean
            np.testing.assert_allclose(back[seen], values[seen], atol=2e-2 if m == "text" else 1e-4)


@pytest.mark.parametrize("network", [SELF, RCMA])
def test_all_modalities_end_at_one_time_on_one_grid_and_off_it(turns, network):
    segments, rows, stores, split = turns
    start_s = {s.segment_id: s.start_s for s in segments}
    cut, whole = (segments_of(stores, split, network, options(max_s=m, grid_hop_s=0.25)) for m in (1.0, 170.0))
    for k, a in enumerate(read_fold(split, 0)):
        for m in DIMS:
            within = sum(t < start_s[a.segment_id] + 1 - 1e-6 for t in rows[m][a.segment_id].time_s[:, 0])
            expected = min(4, whole.count[m][k]) if network is RCMA else -(-within // cut.rows_per_step[m])
            assert cut.count[m][k] == expected
    assert max(whole.count["text"]) > 4 == max(cut.count["text"])


def test_only_what_trains_decides_how_far_sequences_are_averaged(turns):
    _, rows, stores, split = turns
    parts = {part: [a for a in read_fold(split, 0) if a.part == part] for part in ("training", "development", "test")}
    length = lambda a: len(rows["audio"][a.segment_id])  # noqa: E731
    *shorter, longest = sorted(parts["training"], key=length)
    fold = [*shorter, replace(longest, part="unlabelled", label=None), *parts["development"], *parts["test"]]
    examples = segments_of(stores, split, SELF, options(grid_hop_s=0.001), rows=fold)
    assert length(longest) > length(shorter[-1])
    assert examples.max_steps["audio"] == examples.shape["max_steps"]["audio"] == length(shorter[-1])


@pytest.mark.parametrize("most", [3, np.array([3, 1, 9])])
def test_what_is_cut_off_is_not_observed(tmp_path, most, monkeypatch):
    time_s = np.arange(5)[:, None] + [0.0, 1.0]
    valid = {"a": [0, 0, 1, 1, 1], "b": [0, 1, 1, 1, 1], "c": [0, 0, 0, 0, 1]}
    made = {name: Rows(np.ones((5, 2), np.float32), time_s, np.array(v, bool)) for name, v in valid.items()}
    store = FeatureStore(write_store(tmp_path / "audio.h5", made, "audio"))
    for rows in (StoredRows(store, list(valid), most), GridRows(store, list(valid), [time_s[:3]] * 3, most=most)):
        assert rows.observed.tolist() == ([True, True, False] if isinstance(most, int) else [True, False, True])
        with monkeypatch.context() as once:
            once.setattr(FeatureStore, "array", None)
            assert rows.observed.any()  # what was read before


# Placement


@pytest.mark.parametrize("network", [SELF, RCMA])
def test_features_read_from_their_files_are_those_in_memory(turns, network):
    _, _, stores, split = turns
    memory = segments_of(stores, split, network, options())
    files = segments_of(stores, split, network, options(memory_budget_gb=1e-9))
    assert {t.keep for t in memory.tables.values()} == {"host"}
    assert {t.keep for t in files.tables.values()} == {"file"}
    groups = training_batches(memory.items("training"), memory.length, 8, np.random.default_rng(0))
    for a, b in zip(memory.batches(groups), files.batches(groups), strict=True):
        for m in DIMS:
            torch.testing.assert_close(a.values[m], b.values[m], atol=1e-6, rtol=1e-5)
            assert torch.equal(a.masks[m], b.masks[m])
        assert torch.equal(a.target, b.target)
        assert np.array_equal(a.items, b.items)


def test_a_failing_read_is_not_swallowed(turns):
    _, _, stores, split = turns
    examples = segments_of(stores, split, SELF, options(memory_budget_gb=1e-9))
    with pytest.raises(IndexError):
        list(examples.batches([np.array([0]), np.array([10**6])]))


# Frames


def test_frames_get_the_features_of_their_own_time(tracks):
    _, labels, rows, stores, truth, split = tracks
    examples = frame_examples(stores, truth, split, FRAMES, RCMA, options(window=20, window_hop=15))
    for item in [*examples.items("test")[[0, 4]], examples.items("unlabelled")[0], examples.items("training")[2]]:
        batch = examples.batch(np.array([item]))
        segment_id, first = examples.segment_ids[examples.segment[item]], examples.first[item]
        label = labels[segment_id]
        n = min(20, len(label) - first)
        part = slice(first, first + n)
        for m in DIMS:
            values, seen = brute_grid(rows[m][segment_id], label.time_s[part])
            assert np.array_equal(batch.masks[m][0], seen)
            normaliser = examples.normalisers[m]
            back = batch.values[m][0] * normaliser.std + normaliser.mean
            np.testing.assert_allclose(back[seen], values[seen], atol=1e-5)
        assert np.array_equal(batch.target_mask[0], label.valid[part])
        np.testing.assert_array_equal(batch.target[0][label.valid[part]], label.values[part][label.valid[part]])


def test_every_frame_is_predicted_and_only_labelled_windows_train(tracks, tmp_path, caplog):
    _, labels, _, stores, _, split = tracks
    caplog.set_level("INFO")
    dark = next(a.segment_id for a in split if a.part == "training")
    changed = dict(labels)
    changed[dark] = Rows(labels[dark].values, labels[dark].time_s, np.zeros(len(labels[dark]), bool))
    truth = FeatureStore(write_store(tmp_path / "labels.h5", changed, "label", corpus="affwild2"))
    examples = frame_examples(stores, truth, split, FRAMES, RCMA, options(window=20, window_hop=15))
    covered = {}
    for item in range(len(examples.part)):
        key = examples.segment_ids[examples.segment[item]]
        first = examples.first[item]
        covered.setdefault(key, np.zeros(len(labels[key]), int))[first : first + 20] += 1
    assert dark not in covered
    assert "training windows without any labelled frame" in caplog.text
    for a in split:
        if a.part != "training":
            assert (covered[a.segment_id] > 0).all()
    assert {a.part for a in split} == {"training", "development", "test", "unlabelled"}


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(1, 50), st.data())
def test_windows_cover_every_frame_and_the_last_ends_with_the_sequence(frames, window, data):
    hop = data.draw(st.integers(1, window))
    first = cut_windows(frames, window, hop)
    covered = np.zeros(frames, int)
    for a in first:
        assert a >= 0
        assert a + window <= frames or frames < window
        covered[a : a + window] += 1
    assert (covered > 0).all()
    assert len(set(first.tolist())) == len(first)
    if len(first) > 2:
        assert set(np.diff(first)[:-1]) == {hop}
        assert first[-1] + window == frames


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 120), st.integers(1, 40), st.data())
def test_overlapping_windows_are_averaged_per_frame(frames, window, data):
    first = cut_windows(frames, window, data.draw(st.integers(1, window)))
    rng = np.random.default_rng(frames)
    outputs = [rng.normal(size=(min(window, frames), 2)) for _ in first]
    found = average_windows(outputs, first, frames)
    for t in range(frames):
        said = [values[t - a] for values, a in zip(outputs, first) if a <= t < a + len(values)]
        np.testing.assert_allclose(found[t], np.mean(said, axis=0))


@pytest.mark.parametrize("nearest", [False, True])
def test_grid_rows_in_pieces_equal_the_whole(tracks, nearest):
    _, labels, rows, stores, _, _ = tracks
    ids = sorted(labels)
    table = GridRows(stores["text"], ids, [labels[i].time_s for i in ids], nearest)
    whole, seen = table.read(2, 0, len(labels[ids[2]]))
    expected, expected_seen = brute_grid(rows["text"][ids[2]], labels[ids[2]].time_s)
    if nearest:
        mine = rows["text"][ids[2]]
        expected, _ = to_grid(mine.values, mine.time_s, mine.valid, labels[ids[2]].time_s, nearest=True)
    assert np.array_equal(seen, expected_seen)
    np.testing.assert_allclose(whole, expected, atol=1e-6)
    pieces = [table.read(2, a, min(a + 7, len(whole))) for a in range(0, len(whole), 7)]
    assert np.array_equal(np.concatenate([p[0] for p in pieces]), whole)
    assert np.array_equal(np.concatenate([p[1] for p in pieces]), seen)
    assert table.read(2, 3, 3)[0].shape == (0, DIMS["text"])


# Batches


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 1000))
def test_training_batches_hold_every_item_once_and_no_lonely_last_one(count, size, seed):
    rng = np.random.default_rng(seed)
    items, length = np.flatnonzero(rng.random(count + 50) > 0.2)[:count], rng.uniform(0, 3, count + 50)
    batches = training_batches(items, length, size, np.random.default_rng(seed))
    assert sorted(np.concatenate(batches).tolist()) == items.tolist()
    assert max(map(len, batches)) <= size + 1
    assert min(map(len, batches)) > 1 or len(batches) == 1 or size == 1
    again = training_batches(items, length, size, np.random.default_rng(seed))
    assert all(np.array_equal(a, b) for a, b in zip(batches, again, strict=True))


def test_batches_save_padding_and_differ_from_epoch_to_epoch():
    length = np.random.default_rng(0).gamma(2, 1, 2000)
    items = np.arange(2000)

    def padded(batches):
        return sum(len(b) * length[b].max() for b in batches)

    bucketed = training_batches(items, length, 32, np.random.default_rng(1))
    shuffled = np.random.default_rng(1).permutation(items)
    plain = [shuffled[a : a + 32] for a in range(0, 2000, 32)]
    assert padded(bucketed) < 0.65 * padded(plain)
    other = training_batches(items, length, 32, np.random.default_rng(2))
    together = {frozenset(b.tolist()) for b in bucketed} & {frozenset(b.tolist()) for b in other}
    assert not together


# The public data set


def test_a_data_set_in_five_lines(turns):
    _, rows, stores, split = turns
    features = {m: store.path for m, store in stores.items()}
    data = SegmentDataset.from_split(features, split, fold=0, part="test", step_s=options().grid_hop_s)
    loader = DataLoader(data, batch_size=8, collate_fn=collate, num_workers=2)
    batches = list(loader)
    assert sum(map(len, batches)) == len(data) == 24
    fold = read_fold(split, 0)
    examples = segments_of(stores, split, SELF, options())
    items = examples.items("test")
    assert [fold[i].segment_id for i in items] == data.segment_ids
    for k, batch in enumerate(batches):
        same = examples.batch(items[8 * k : 8 * k + 8])
        assert torch.equal(batch.target, same.target)
        for m in DIMS:
            assert torch.equal(batch.masks[m], same.masks[m])
            torch.testing.assert_close(batch.values[m], same.values[m], atol=1e-6, rtol=1e-5)
    plain = SegmentDataset.from_split(features, split, fold=0, part="test", normalise=False)
    first = rows["audio"][plain.segment_ids[0]]
    np.testing.assert_allclose(plain[0].values["audio"], np.where(first.valid[:, None], first.values, 0))
    copied = pickle.loads(pickle.dumps(data))
    assert torch.equal(copied[3].values["audio"], data[3].values["audio"])


def test_what_cannot_be_read_is_refused(turns):
    _, _, stores, split = turns
    with pytest.raises(InputError, match="lacks 1 of 2 segments, the first Ses09F_impro01_F000"):
        StoredRows(stores["audio"], [stores["audio"].segment_ids[0], "Ses09F_impro01_F000"])
    first = stores["audio"].segment_ids[0]
    with pytest.raises(InputError, match=f"no speaker is known of 1 of 1 segments, the first {first}"):
        StoredRows(stores["audio"], [first], speakers={"another": "ann"})
    with pytest.raises(InputError, match=r"no fold 7, only \[0, 1, 2, 3, 4\]"):
        read_fold(split, 7)
    with pytest.raises(InputError, match="has no part 'train'; it has"):
        SegmentDataset.from_split(stores, split, 0, "train")
    only = [a for a in read_fold(split, 0) if a.part != "development"]
    with pytest.raises(InputError, match="the development part of this fold holds no item"):
        segments_of(stores, split, SELF, options(), rows=only)


def test_tables_gather_nothing_for_nothing(turns):
    _, _, stores, _ = turns
    ids = stores["audio"].segment_ids[:3]
    table = Table(StoredRows(stores["audio"], ids))
    values, valid = table.gather(np.array([0, 1]), np.array([0, 0]), np.array([0, 2]), 4)
    assert values.shape == (2, 4, DIMS["audio"])
    assert not values[0].any()
    assert not valid[0].any()
    assert not valid[1, 2:].any()
