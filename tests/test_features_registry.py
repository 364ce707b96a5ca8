"""Names of extractors, their options, and the source files that decide a rerun."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pipeline.features import registry
from pipeline.records import InputError
from tests.digest_table import closure
from tests.plug_options import described

REPOSITORY = Path(__file__).resolve().parent.parent
OWN = """
    import numpy as np
    from pipeline.features.base import Extractor, options

    @options
    class PeakOptions:
        window_s: float = 0.05

    class Peak(Extractor):
        modality = "audio"
        Config = PeakOptions

        def extract(self, batch):
            w = self.config.window_s
            return [p.rows(np.abs(p.windows(w, w)).max(axis=1, keepdims=True), w, w) for p in batch]

    class NoModality(Extractor):
        def extract(self, batch):
            return []

    class Half(Extractor):
        modality = "audio"

    class Unrelated:
        pass
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own_extractors.py"
    path.write_text(textwrap.dedent(OWN))
    return path


@pytest.mark.parametrize("kind", sorted(registry.BUILT_IN))
def test_every_option_is_described_in_the_manual(kind):
    manual = (REPOSITORY / "docs" / "extractors.md").read_text()
    section = manual.split(f"\n### `{kind}`\n")[1].split("\n### ")[0]
    rows = re.findall(r"^\| `(\w+)` \| `(.*?)` \| (.*) \|$", section, re.MULTILINE)
    assert rows == [row for row in described(registry.EXTRACTORS, kind) if row[0] != "dtype"]
    assert all(description for *_, description in rows)


def test_weights_are_named_where_needed_and_only_there():
    registry.EXTRACTORS.check_weights("mfcc", None)
    registry.EXTRACTORS.check_weights("transformers_text", "demo:bert")
    with pytest.raises(InputError, match="'transformers_text' needs a checkpoint: add weights"):
        registry.EXTRACTORS.check_weights("transformers_text", None)
    with pytest.raises(InputError, match="'mfcc' uses no weights; say weights: null in place of demo:bert"):
        registry.EXTRACTORS.check_weights("mfcc", "demo:bert")


def test_unknown_name_lists_what_there_is():
    with pytest.raises(InputError, match=r"no extractor 'mfc'; there are face_geometry, log_mel, mfcc.*module:Class"):
        registry.load("mfc")


def test_unknown_or_wrong_option_names_key_and_value():
    with pytest.raises(InputError, match=r"unknown option 'coeficients'.*options are: dtype, coefficients"):
        registry.EXTRACTORS.options_for("mfcc", {"coeficients": 13})
    with pytest.raises(InputError, match=r"hop_s: .*greater than 0 \(given -1\)"):
        registry.EXTRACTORS.options_for("mfcc", {"hop_s": -1})
    with pytest.raises(InputError, match="mel_bands 10 is less than coefficients 40"):
        registry.EXTRACTORS.options_for("mfcc", {"mel_bands": 10})
    with pytest.raises(InputError, match="layers"):
        registry.EXTRACTORS.options_for("transformers_text", {"layers": "first"})
    assert registry.EXTRACTORS.options_for("transformers_text", {}).layers == [-4, -3, -2, -1]


def test_own_extractor_from_a_file_and_from_a_module(own, monkeypatch):
    for kind in (f"{own}:Peak", "own_extractors:Peak"):
        monkeypatch.syspath_prepend(str(own.parent))
        found = registry.load(kind)
        assert registry.EXTRACTORS.options_for(kind, {"window_s": 0.1}).window_s == 0.1
        made = found(registry.EXTRACTORS.options_for(kind, {}))
        assert made.dim == 1


def test_own_extractor_that_cannot_be_used(own, tmp_path):
    with pytest.raises(InputError, match=r"Nothing in .* is missing"):
        registry.load(f"{own}:Nothing")
    with pytest.raises(InputError, match="not a subclass"):
        registry.load(f"{own}:Unrelated")
    with pytest.raises(InputError, match="set its class attribute modality"):
        registry.load(f"{own}:NoModality")
    with pytest.raises(InputError, match="cannot be imported"):
        registry.load(f"{tmp_path}/none.py:Peak")
    with pytest.raises(InputError, match="cannot be imported"):
        registry.load("no_such_module:Peak")
    for text, said in (("def (:\n", "invalid syntax"), ("\n\nx = 1 / 0\n", "ZeroDivisionError: .*, line 3")):
        broken = tmp_path / f"broken{len(text)}.py"
        broken.write_text(text)
        with pytest.raises(InputError, match=f"cannot be imported .*{said}"):
            registry.load(f"{broken}:Peak")
    with pytest.raises(InputError, match=r"Half in .* lacks extract; define it"):
        registry.load(f"{own}:Half")


def test_entry_points_of_installed_packages(own, tmp_path, monkeypatch):
    site = tmp_path / "site"
    info = site / "theirs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[affectflow.extractors]\npeak = own_extractors:Peak\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.syspath_prepend(str(own.parent))
    assert "peak" in registry.EXTRACTORS.names()
    assert registry.load("peak").__name__ == "Peak"


def test_code_is_the_extractor_and_what_it_uses(own, tmp_path):
    used = closure("pipeline.features.command:features", registry.load("transformers_text"))
    features = {name.rpartition(".")[2] for name in used if name.startswith("pipeline.features.")}
    assert {"transformers_text", "layers", "checkpoint", "base", "run", "pieces"} <= features
    assert not features & {"mfcc", "transformers_audio", "check", "fetch"}
    remarked, edited = tmp_path / "remarked.py", tmp_path / "edited.py"
    remarked.write_text("# a remark\n" + own.read_text())
    edited.write_text(own.read_text().replace(".max(", ".min("))
    same, other = (registry.code_of(f"{path}:Peak") for path in (remarked, edited))
    assert registry.code_of(f"{own}:Peak") == same != other


def test_checking_a_configuration_loads_no_heavy_library():
    code = """
        import sys
        from pipeline.features import registry
        for kind in registry.BUILT_IN:
            registry.EXTRACTORS.options_for(kind, {})
            registry.code_of(kind)
        heavy = {"torch", "torchaudio", "transformers", "librosa", "scipy", "onnxruntime", "h5py", "cv2", "pandas"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
