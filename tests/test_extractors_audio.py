"""Extractors of sound, against librosa, plain NumPy and signals with known answers."""

import importlib.util
import os
import subprocess
import sys
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest

from pipeline.features.command import build
from pipeline.features.piece import AudioPiece
from pipeline.features.synthetic import clip
from pipeline.records import InputError

RATE = 16_000


def make(kind, **options):
    return build(kind, options, None, "cpu")[0]


def piece(samples, start_s=0.0):
    return AudioPiece("s", np.asarray(samples, np.float32), RATE, start_s)


def tone(hz, seconds=1.0, level=0.1, harmonics=1):
    t = np.arange(round(seconds * RATE)) / RATE
    return level * sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, harmonics + 1))


def test_mfcc_equals_librosa(librosa):
    sound = clip("audio", 2.0, start_s=7.0)
    rows = make("mfcc").extract([sound])[0]
    power = librosa.feature.melspectrogram(
        y=sound.samples, sr=RATE, n_fft=400, hop_length=160, center=False, n_mels=64, htk=True, norm=None, fmax=8000
    )
    expected = librosa.feature.mfcc(S=np.log(power + 1e-6), n_mfcc=40, norm="ortho").T
    assert rows.values.shape == (len(expected), 120)
    np.testing.assert_allclose(rows.values[:, :40], expected, atol=2e-3)
    first = librosa.feature.delta(expected.T, width=9, mode="nearest").T
    second = librosa.feature.delta(first.T, width=9, mode="nearest").T
    np.testing.assert_allclose(rows.values[:, 40:80], first, atol=1e-3)
    np.testing.assert_allclose(rows.values[8:-8, 80:], second[8:-8], atol=1e-3)
    np.testing.assert_allclose(rows.time_s[:, 0], 7.0 + 0.01 * np.arange(len(rows)))
    np.testing.assert_allclose(np.diff(rows.time_s), 0.025)


@pytest.mark.parametrize(("kind", "options"), [("mfcc", {"deltas": False}), ("log_mel", {})])
def test_rows_lie_where_their_samples_are_whatever_the_hop(kind, options):
    """A click late in a long recording is heard by the one row whose time holds it; a hop of 532.8 samples is 533."""
    click = 1771 * 533 + 200
    samples = np.zeros(60 * RATE)
    samples[click] = 1.0
    rows = make(kind, hop_s=0.0333, window_s=0.02503125, **options).extract([piece(samples, start_s=7.0)])[0]
    assert len(rows) == (len(samples) - 401) // 533 + 1
    (heard,) = np.flatnonzero((rows.values != rows.values[0]).any(axis=1))
    begin_s, end_s = rows.time_s[heard] - 7.0
    np.testing.assert_allclose([begin_s * RATE, end_s * RATE], [click - 200, click + 201], atol=1e-6)


def test_mfcc_of_almost_nothing():
    rows = make("mfcc").extract([piece(np.zeros(10))])[0]
    assert rows.values.shape == (1, 120)
    assert np.isfinite(rows.values).all()


def test_log_mel_equals_librosa(librosa):
    sound = clip("audio", 1.0)
    rows = make("log_mel").extract([sound])[0]
    frames = librosa.util.frame(sound.samples, frame_length=400, hop_length=160)
    spectrum = np.abs(np.fft.rfft(frames * librosa.filters.get_window("hann", 400)[:, None], n=512, axis=0)) ** 2
    bank = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=64, fmin=60, fmax=7800, htk=True, norm=None)
    np.testing.assert_allclose(rows.values, np.log(bank @ spectrum + 1e-6).T, atol=1e-3)


def test_vggish_front_end_as_published():
    """Written down from the published description: HTK mel 1127 ln(1 + f/700), magnitudes, log(x + 0.01), 96 rows."""
    sound = clip("audio", 3.0, start_s=1.0)
    rows = make("vggish_log_mel", patch_hop_s=0.48).extract([sound])[0]
    starts = np.arange(0, len(sound.samples) - 400 + 1, 160)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    magnitude = np.abs(np.fft.rfft(np.stack([sound.samples[s : s + 400] * window for s in starts]), 512))

    def mel(hz):
        return 1127 * np.log(1 + np.asarray(hz) / 700)

    edges, bins = np.linspace(mel(125), mel(7500), 66), mel(np.arange(257) * RATE / 512)
    bank = np.stack(
        [
            np.clip(np.minimum((bins - lo) / (mid - lo), (hi - bins) / (hi - mid)), 0, None)
            for lo, mid, hi in zip(edges[:-2], edges[1:-1], edges[2:], strict=True)
        ]
    )
    expected = np.log(magnitude @ bank.T + 0.01)
    assert rows.values.shape == (len(range(0, len(expected) - 95, 48)), 96 * 64)
    for i in range(len(rows)):
        np.testing.assert_allclose(rows.values[i].reshape(96, 64), expected[48 * i : 48 * i + 96], atol=1e-3)
    np.testing.assert_allclose(rows.time_s[:, 0], 1.0 + 0.48 * np.arange(len(rows)))
    np.testing.assert_allclose(np.diff(rows.time_s), 0.975)
    summary = make("vggish_log_mel", patch_hop_s=0.48, summary=True).extract([sound])[0].values
    np.testing.assert_allclose(summary[0, :64], rows.values[0].reshape(96, 64).mean(axis=0), atol=1e-4)
    with pytest.raises(InputError, match=r"multiple of 0\.01"):
        make("vggish_log_mel", patch_hop_s=0.033)


@pytest.fixture(scope="module")
def prosody():
    from pipeline.features.prosody import COLUMNS

    extractor = make("prosody")

    def measure(samples):
        rows = extractor.extract([piece(samples)])[0]
        return dict(zip(COLUMNS, rows.values[10:-10].T, strict=True))

    return measure


def test_prosody_of_a_voice_of_known_pitch(prosody):
    voice = prosody(tone(150, level=0.1, harmonics=20))
    noise = prosody(0.05 * np.random.default_rng(0).standard_normal(RATE))
    np.testing.assert_allclose(voice["pitch_octaves"], np.log2(150 / 55), atol=0.02)
    assert voice["voiced_probability"].mean() > 0.5 > noise["voiced_probability"].mean()
    assert np.median(noise["pitch_octaves"]) == 0
    assert voice["pitch_change"].max() < 0.03
    assert np.median(voice["harmonicity_db"]) > 20 > 5 > np.median(noise["harmonicity_db"])
    assert np.median(voice["cepstral_peak_db"]) > 2 * np.median(noise["cepstral_peak_db"])


def test_prosody_of_tones_and_noise(prosody):
    pure = prosody(tone(1000, level=0.1))
    np.testing.assert_allclose(pure["energy_db"], 20 * np.log10(0.1 / np.sqrt(2)), atol=0.1)
    np.testing.assert_allclose(pure["centroid_hz"], 1000, atol=30)
    np.testing.assert_allclose(pure["zero_crossing_rate"], 2 * 1000 / RATE, rtol=0.05)
    noise = np.random.default_rng(0).standard_normal(RATE) * 0.05
    assert prosody(noise)["flatness_db"].mean() > pure["flatness_db"].mean() + 20
    # Brown noise falls 6 dB an octave, white noise not at all.
    brown = np.cumsum(noise)
    brown = 0.1 * (brown - brown.mean()) / np.abs(brown).max()
    assert abs(prosody(noise)["tilt_db_per_octave"].mean()) < 0.7
    assert abs(prosody(brown)["tilt_db_per_octave"].mean() + 6) < 1.2
    loud = prosody(np.concatenate([tone(300, 0.5, 0.02), tone(300, 0.5, 0.2)]))
    assert abs(loud["energy_change_db"].sum() - 20) < 0.5
    assert not any(np.isnan(v).any() for v in prosody(np.zeros(RATE)).values())


@pytest.mark.skipif(importlib.util.find_spec("opensmile") is None, reason="opensmile is not installed")
def test_opensmile_sets():
    import opensmile

    sound = clip("audio", 2.0, start_s=3.0)
    for level, own in (("lld", "LowLevelDescriptors"), ("functionals", "Functionals")):
        rows = make("opensmile", level=level).extract([sound])[0]
        smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel[own])
        table = smile.process_signal(sound.samples, RATE)
        np.testing.assert_allclose(rows.values[rows.valid], table.to_numpy()[rows.valid], rtol=1e-5)
        assert rows.time_s[0, 0] == 3.0
        assert rows.valid.any()


@pytest.mark.skipif(importlib.util.find_spec("opensmile") is not None, reason="opensmile is installed")
def test_opensmile_says_how_to_install_it():
    with pytest.raises(InputError, match=r"it is optional: pip install opensmile$"):
        make("opensmile")


def test_processes_compile_one_after_another_in_a_folder_of_ours(tmp_path):
    """Two that compile at once can leave a cache with which every later one crashes."""
    code = (
        "import time, sys; from pipeline.features.compiled import one_compiler\n"
        "with one_compiler():\n"
        "    import numba; begin_s = time.time(); time.sleep(0.5); print(begin_s, time.time(), numba.config.CACHE_DIR)"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(3)
    ]
    told = [process.communicate(timeout=60)[0].split() for process in started]
    assert {folder for *_, folder in told} == {str(tmp_path / "affectflow" / "numba")}
    spans = sorted((float(begin_s), float(end_s)) for begin_s, end_s, _ in told)
    assert all(end_s <= begin_s for (_, end_s), (begin_s, _) in pairwise(spans))


def test_what_uses_librosa_makes_nothing_before_its_parts_are_compiled_in_peace(monkeypatch):
    order = []

    @contextmanager
    def one_compiler():
        order.append("begin")
        yield
        order.append("end")

    def values(self, piece):
        order.append(len(piece))
        return np.zeros((1, 14), np.float32)

    monkeypatch.setattr("pipeline.features.command.one_compiler", one_compiler)
    monkeypatch.setattr("pipeline.features.prosody.Prosody._values", values)
    make("prosody").extract([piece(tone(200, 0.5)), piece(tone(200, 0.5))])
    make("mfcc")
    assert order == ["begin", 16000, "end", 8000, 8000]
    monkeypatch.setattr("pipeline.features.prosody.Prosody._values", lambda self, piece: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make("prosody").extract([piece(tone(200, 0.5))])  # not as it is made, so that a check can say it
