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
        registry.EXTRACTORS.load("mfc")


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
        found = registry.EXTRACTORS.load(kind)
        assert registry.EXTRACTORS.options_for(kind, {"window_s": 0.1}).window_s == 0.1
        made = found(registry.EXTRACTORS.options_for(kind, {}))
        assert made.dim == 1


def test_own_extractor_that_cannot_be_used(own, tmp_path):
    with pytest.raises(InputError, match=r"Nothing in .* is missing; .*Extractor there are Peak, NoModality, Half$"):
        registry.EXTRACTORS.load(f"{own}:Nothing")
    with pytest.raises(InputError, match="not a subclass"):
        registry.EXTRACTORS.load(f"{own}:Unrelated")
    with pytest.raises(InputError, match="set its class attribute modality"):
        registry.EXTRACTORS.load(f"{own}:NoModality")
    gone = f"{tmp_path}/none.py:Peak"
    with pytest.raises(InputError, match=f"^extractor '{gone}': there is no such file; put it there, or correct .*$"):
        registry.EXTRACTORS.load(gone)
    with pytest.raises(InputError, match=f"there is no such file; it is expected at {Path.cwd()}/none.py; put"):
        registry.EXTRACTORS.load("none.py:Peak")
    with pytest.raises(InputError, match=f"there is no such file; it is expected at {Path.cwd()}/~no one/x.py; put"):
        registry.EXTRACTORS.load("~no one/x.py:Peak")
    with pytest.raises(InputError, match=r"cannot be imported .*put its folder on PYTHONPATH"):
        registry.EXTRACTORS.load("no_such_module:Peak")
    for text, said in (("def (:\n", "invalid syntax"), ("\n\nx = 1 / 0\n", "ZeroDivisionError: .*, line 3")):
        broken = tmp_path / f"broken{len(text)}.py"
        broken.write_text(text)
        with pytest.raises(InputError, match=f"cannot be imported .*{said}"):
            registry.EXTRACTORS.load(f"{broken}:Peak")
    for text, said in (
        ("import no_such_package.part\n", r"install no_such_package into the environment .* put it beside the plug"),
        ("from .blocks import x\n", r"what imports from its package .* is named module:Class"),
        ("from models import Nothing\n", "models is a name of affectflow.s own; where .* rename it"),
    ):
        lacking = tmp_path / f"lacking{len(text)}.py"
        lacking.write_text(text)
        with pytest.raises(InputError, match=f"cannot be imported .*{said}"):
            registry.EXTRACTORS.load(f"{lacking}:Peak")
    with pytest.raises(InputError, match=r"Half in .* lacks extract; define it"):
        registry.EXTRACTORS.load(f"{own}:Half")


@pytest.mark.parametrize(
    "table",
    ["class Table:\n    window_s: float = 1.0", "class Table(Options):\n    window_s: float = 1.0",
     "class Table(BaseModel):\n    window_s: float = 1.0"],
)  # fmt: skip
def test_a_table_of_options_that_is_not_decorated_is_refused(tmp_path, table):
    path = tmp_path / f"undecorated{len(table)}.py"
    path.write_text(
        f"from affectflow import Extractor, Options\nfrom pydantic import BaseModel\n{table}\nclass Peak(Extractor):\n"
        "    modality = 'audio'\n    Config = Table\n    def extract(self, batch): return []\n"
    )
    with pytest.raises(InputError, match=r"Table, the Config of Peak, .*the decorator affectflow\.options before it"):
        registry.EXTRACTORS.options_for(f"{path}:Peak", {})


def test_one_name_of_a_helper_stands_for_one_file(tmp_path, monkeypatch):
    """Of two files the one that was imported first would stand in for the other, and a package of ours for both."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def plug(folder, imports, helper):
        home = tmp_path / folder
        home.mkdir(exist_ok=True)
        (home / f"{helper}.py").write_text("def g(): pass\n")
        (home / f"{home.name}.py").write_text(
            f"{imports}\nfrom pipeline.features.base import Extractor\nclass Peak(Extractor):\n    modality = 'audio'\n"
            "    def extract(self, batch): return []\n"
        )
        return f"{home / home.name}.py:Peak"

    first, second = (plug(folder, "from twice_used import g", "twice_used") for folder in ("one", "other"))
    registry.EXTRACTORS.load(first)
    said = rf"imports twice_used, which is {tmp_path}/one/twice_used.py here and not {tmp_path}/other/.*: .*rename one"
    with pytest.raises(InputError, match=said):
        registry.EXTRACTORS.load(second)
    registry.EXTRACTORS.load(first)
    for folder, imports in (("called", "from models import g"), ("named", "import models")):
        said = rf"imports models, which is .*/models/__init__.py here and not {tmp_path}/{folder}/models.py"
        with pytest.raises(InputError, match=said):
            registry.EXTRACTORS.load(plug(folder, imports, "models"))
    registry.EXTRACTORS.load(plug("meant", "from models import task", "models"))
    upper = plug("upper", "from also_below import g", "also_below")
    registry.EXTRACTORS.load(upper)
    below = plug("upper/below", "from also_below import g", "also_below")  # which finds its own in a job of its own
    with pytest.raises(InputError, match=r"also_below, which is .*upper/also_below.py here and not .*below/also"):
        registry.EXTRACTORS.load(below)


def test_entry_points_of_installed_packages(own, tmp_path, monkeypatch):
    site = tmp_path / "site"
    info = site / "theirs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[affectflow.extractors]\npeak = own_extractors:Peak\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.syspath_prepend(str(own.parent))
    assert "peak" in registry.EXTRACTORS.names()
    assert registry.EXTRACTORS.load("peak").__name__ == "Peak"


def test_code_is_the_extractor_and_what_it_uses(own, tmp_path):
    used = closure("pipeline.features.command:features", registry.EXTRACTORS.load("transformers_text"))
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
