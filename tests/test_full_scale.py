"""Samples lie about -1 to 1: floats on another scale are refused, and what damage made enormous is no sound."""

import av
import numpy as np
import pytest
import soundfile

from pipeline.records import InputError, Unit
from pipeline.sound import read_audio
from tests.clips import beeps
from tests.test_audio import RATE, make_video, read, segment, unit_of


@pytest.mark.parametrize("bits", [16, 24, 32])
@pytest.mark.parametrize("own", [True, False])
def test_floats_on_the_scale_of_integers_are_no_sound(tmp_path, bits, own):
    """Nor is what is so quiet at their beginning that it could be on any scale; a loud mix is."""
    wave = 0.5 * beeps([3.5], 5.0, RATE) * 2 ** (bits - 1) + np.tile([0, 1, 0, -1], 5 * RATE // 4)
    wave = np.round(wave).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", wave, RATE, subtype="FLOAT")
    unit = Unit("u", "absent.mkv") if own else Unit("u", None, "a.wav")
    track = read(tmp_path, [segment("a", 0.0, 5.0, "a.wav" if own else None)], unit=unit)["a"]
    reason = f"samples reach {wave.max():.0f} where full scale is 1, as where integers are stored as float"
    assert track.reason.startswith(f"sound file unusable ({reason}): cut" if own else reason)
    assert (len(track.observed_s), np.abs(track.samples()).max()) == (0, 0)
    with pytest.raises(InputError, match="divide them by 32768 if they had 16 bits"):
        list(read_audio(tmp_path / "a.wav"))
    soundfile.write(tmp_path / "mix.wav", 7.5 * wave / wave.max(), RATE, subtype="FLOAT")
    assert np.concatenate([samples for _, samples in read_audio(tmp_path / "mix.wav")]).max() > 7.4


def test_a_damaged_packet_that_decodes_to_enormous_samples_costs_no_others(tmp_path):
    """Each packet of AAC says how loud it is: here one says 1,000 times more than it was."""
    path = make_video(tmp_path, name="x.mp4", codec="aac", at_s=(0.5, 1.98, 3.0))
    whole = read(tmp_path, [segment("a", 0.0, 4.0)], unit=unit_of("x.mp4"))["a"].samples()
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(audio=0) if p.size][32]
    gain = 40 + ((data[packet.pos] & 1) << 7 | data[packet.pos + 1] >> 1)
    data[packet.pos] = data[packet.pos] & ~1 | gain >> 7
    data[packet.pos + 1] = (gain & 127) << 1 | data[packet.pos + 1] & 1
    path.write_bytes(data)
    samples = read(tmp_path, [segment("a", 0.0, 4.0)], unit=unit_of("x.mp4"))["a"].samples()
    assert 1 < np.abs(samples).max() <= 8
    for part in (slice(0, 30_000), slice(36_000, None)):
        assert np.array_equal(samples[part], whole[part])
