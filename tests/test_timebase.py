from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import timebase


def test_time_stamps_become_seconds_from_the_first_video_frame():
    ntsc = Fraction(1001, 30_000)
    assert timebase.seconds(8991, ntsc) == pytest.approx(299.9997, abs=1e-3)  # five minutes of 29.97 fps
    assert timebase.seconds(9000 + 512, Fraction(1, 12_800), 512) == 9000 / 12_800


def test_alignment_frames_are_ten_milliseconds_and_include_the_last():
    assert timebase.alignment_range_s(13, 42) == pytest.approx((0.13, 0.43))


def test_frames_last_until_the_next_one():
    ranges = timebase.frame_ranges_s(np.array([0.0, 0.04, 0.12, 0.16]))
    np.testing.assert_allclose(ranges, [[0, 0.04], [0.04, 0.12], [0.12, 0.16], [0.16, 0.2]])
    assert timebase.frame_ranges_s(np.array([])).shape == (0, 2)


milliseconds = st.integers(0, 5000).map(lambda n: n / 1000)


@pytest.mark.parametrize(("times", "ends"), [
    ([0, 0.04, 0.08, 2.0, 2.04], [0.04, 0.08, 0.12, 2.04, 2.08]),  # a hole: the frame before it lasts as others do
    ([0, 0.04, 0.4, 0.44], [0.04, 0.4, 0.44, 0.48]),  # a camera may be slow for a while
    ([0, 1, 2, 7, 8], [1, 2, 7, 8, 9]),  # thinned to one a second: five steps are no hole
    ([0, 30], [30, 60]),
])  # fmt: skip
def test_no_frame_lasts_through_a_hole(times, ends):
    found = timebase.frame_ranges_s(np.array(times, float))
    assert np.allclose(found[:, 0], times)
    assert np.allclose(found[:, 1], ends)


@settings(deadline=None)
@given(st.floats(20, 60), st.floats(1, 60), milliseconds, milliseconds.map(lambda s: 0.1 + 4 * s))
def test_thinned_frames_are_ascending_inside_and_no_denser_than_asked(fps, rate_hz, start_s, length_s):
    times = np.arange(int(30 * fps)) / fps
    chosen = timebase.select_frames(times, start_s, start_s + length_s, rate_hz)
    inside = times[(times >= start_s - 1e-9) & (times < start_s + length_s - 1e-9)]
    assert (np.diff(chosen) > 0).all()
    assert np.isin(times[chosen], inside).all()
    assert len(chosen) <= int(np.ceil(length_s * rate_hz)) + 1
    if rate_hz < fps:  # one frame in every full cell of the sampling grid
        full_cells = int((min(start_s + length_s, times[-1]) - start_s) * rate_hz)
        assert len(chosen) >= full_cells
    assert np.array_equal(times[timebase.select_frames(times, start_s, start_s + length_s, None)], inside)


def brute_force_nearest(values, time_s, valid, grid_s):
    out, seen = np.zeros((len(grid_s), values.shape[1])), np.zeros(len(grid_s), bool)
    for g, (a, b) in enumerate(grid_s):
        met = [k for k, (s, e) in enumerate(time_s) if valid[k] and min(b, e) - max(a, s) > 1e-9]
        if met:
            out[g] = values[min(met, key=lambda k: (round(abs(time_s[k].mean() - (a + b) / 2), 9), k))]
            seen[g] = True
    return out, seen


def brute_force_grid(values, time_s, valid, grid_s):
    out, seen = np.zeros((len(grid_s), values.shape[1])), np.zeros(len(grid_s), bool)
    for g, (a, b) in enumerate(grid_s):
        weights = [max(0.0, min(b, e) - max(a, s)) if v else 0.0 for (s, e), v in zip(time_s, valid)]
        if sum(weights) > 1e-9:
            out[g], seen[g] = np.average(values, axis=0, weights=weights), True
    return out, seen


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(1, 12), st.booleans(), st.booleans())
def test_rows_reach_the_grid_as_an_overlap_weighted_mean_or_the_nearest_of_them(seed, n, cells, nearest, words):
    rng = np.random.default_rng(seed)
    start = np.sort(rng.uniform(0, 3, n))
    time_s = np.stack([start, start + rng.uniform(0.05, 1.0, n)], 1)  # windows may overlap one another
    values, valid = rng.normal(size=(n, 3)).astype(np.float32), rng.random(n) < 0.8
    grid_s = timebase.uniform_grid_s(0.5, 0.5 + 0.25 * cells, 0.25)
    if words:  # of several speakers: one may end before, or long after, those that begin later
        grid_s[:, 1] = grid_s[:, 0] + rng.choice([0.05, 0.2, 0.6, 2.0], cells)
    out, seen = timebase.to_grid(values, time_s, valid, grid_s, nearest)
    expected, expected_seen = (brute_force_nearest if nearest else brute_force_grid)(values, time_s, valid, grid_s)
    assert np.array_equal(seen, expected_seen)
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_a_cell_that_others_lie_within_keeps_what_it_overlaps():
    grid_s, row_s = np.array([[0.0, 2.0], [0.5, 0.8], [1.0, 1.3]]), np.array([[0.9, 1.2]])
    for nearest in (False, True):
        out, seen = timebase.to_grid(np.array([[7.0]]), row_s, np.array([True]), grid_s, nearest)
        assert seen.tolist() == [True, False, True]
        assert out[:, 0].tolist() == [7, 0, 7]


def test_a_patch_of_a_second_is_not_smeared_over_the_frames_that_it_overlaps():
    """Patches of 0.96 s that begin with each frame of 1/30 s: a frame takes the one patch that is centred on it."""
    frames = timebase.uniform_grid_s(0.0, 2.0, 1 / 30)
    begin = frames[:-28, :1]
    patches = np.hstack([begin, begin + 0.96])
    out, seen = timebase.to_grid(
        np.arange(len(begin))[:, None], patches, np.ones(len(begin), bool), frames, nearest=True
    )
    assert seen.all()
    centre = frames.mean(1)
    expected = np.clip(np.round((centre - 0.48) * 30), 0, len(begin) - 1)
    np.testing.assert_array_equal(out[:, 0], expected)


def test_a_grid_covers_its_range():
    grid = timebase.uniform_grid_s(1.0, 2.05, 0.1)
    assert grid[0, 0] == 1.0
    assert grid[-1, 1] >= 2.05
    assert len(grid) == 11
