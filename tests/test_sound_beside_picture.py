"""Sound and picture of one file count from the same zero, the first picture, and both are used to their ends."""

import numpy as np
import pytest
import soundfile

from pipeline.sound import read_audio
from tests.clips import beeps, ffmpeg
from tests.test_media import _onsets

RARE_KEYS = {  # a key frame every ten seconds, at 60 pictures a second
    "x.ts": ("-c:v", "libx264", "-g", "600", "-keyint_min", "600", "-sc_threshold", "0"),
    "x.mpg": ("-c:v", "mpeg2video", "-g", "600", "-sc_threshold", "1000000000"),
}


@pytest.mark.parametrize("name", RARE_KEYS)
def test_sound_of_a_broadcast_keeps_its_time_however_late_its_first_key_frame_comes(tmp_path, name):
    """Pictures before it cannot be decoded, and are not seen; what is seen begins ten seconds into the film."""
    soundfile.write(tmp_path / "x.wav", beeps([12.0, 15.5], 20.0, 48_000), 48_000)
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=60:d=20", "-i", tmp_path / "x.wav", "-c:a", "mp2", "-b:a", "192k",
           "-pix_fmt", "yuv420p", *RARE_KEYS[name], tmp_path / f"whole.{name}")  # fmt: skip
    data = (tmp_path / f"whole.{name}").read_bytes()
    (tmp_path / name).write_bytes(data[len(data) // 10 :])
    assert np.allclose(_onsets(read_audio(tmp_path / name)), [2.0, 5.5], atol=0.03)
