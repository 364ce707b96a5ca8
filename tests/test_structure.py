"""The arrows between modules point one way, files stay small, and starting is cheap."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from pipeline.digest import imports

ROOT = Path(__file__).resolve().parent.parent
BASE = {
    "files", "records", "causes", "timebase", "store", "cli", "digest", "log", "names", "registry", "conformance",
    "devices", "hdf5", "spoken",
}  # fmt: skip
RAW = {"container", "sound", "stamps", "picture", "media"}  # what opens raw files
PREPARED = {"segment_file", "crops", "audio_file"}  # what stages leave for each other
ANY = None
# What each part of pipeline may import from pipeline; a part is a module or a folder.
PIPELINE = {
    "files": set(), "records": {"files"}, "causes": set(), "timebase": set(), "log": set(), "names": set(),
    "spoken": {"records"},
    "cli": {"records", "log"}, "definitions": set(), "digest": {"definitions"},
    "registry": {"records", "digest", "names"}, "devices": {"records", "log"},
    "hdf5": {"files", "records", "stand_in"}, "store": {"records", "hdf5"}, "conformance": {"records"},
    "weights": {"files", "records"}, "segment_file": {"hdf5"}, "crops": {"segment_file", "hdf5"},
    "audio_file": {"segment_file", "hdf5", "timebase"}, "stand_in": set(),
    "container": {"files", "stand_in", "log", "records"}, "frame_numbers": set(),
    "stamps": {"container", "frame_numbers", "timebase"},
    "sound": {"container", "stamps", "log", "timebase"}, "picture": {"records"},
    "media": RAW | {"records", "log", "timebase"},
    "corpora": BASE | {"media", "sound", "stand_in"},
    # After the index there are only tables: these know no corpus. Words read the transcripts that a corpus supplies.
    "faces": BASE | RAW | PREPARED, "audio": BASE | RAW | PREPARED, "words": BASE | PREPARED | {"corpora", "weights"},
    "features": BASE | PREPARED | {"weights", "stand_in"}, "coverage": BASE | PREPARED | {"corpora"},
    "inspect": ANY, "interchange": ANY,
}  # fmt: skip
LATE = {"predictions", "evaluation", "report"}
WITHOUT_TORCH = LATE | {"protocols", "options", "task", "settings", "wording", "submission"}
PLUGS = ("pipeline/corpora", "workflow/demo", "pipeline/features", "models/fusion", "pipeline/words")


def modules(package):
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if path.name not in ("__init__.py", "__main__.py"):
            yield ".".join(parts)
        elif len(parts) > 2 and len(ast.parse(path.read_text()).body) > 1:  # a package with code of its own
            yield ".".join(parts[:-1])


@pytest.mark.parametrize("module", list(modules("pipeline")))
def test_pipeline_arrows(module):
    part = module.split(".")[1]
    targets = [name.split(".") for name in imports(module)]
    assert all(target[0] == "pipeline" for target in targets), f"{module} imports models"
    allowed = PIPELINE[part]
    found = {target[1] for target in targets if len(target) > 1} - {part}
    assert allowed is ANY or found <= allowed, f"{module} imports {sorted(found - allowed)}"


@pytest.mark.parametrize("module", list(modules("models")))
def test_models_arrows(module):
    part = module.split(".")[1]
    targets = [name.split(".") for name in imports(module)]
    from_pipeline = {target[1] for target in targets if target[0] == "pipeline" and len(target) > 1}
    assert part == "apply" or from_pipeline <= BASE, f"{module} imports pipeline's {sorted(from_pipeline - BASE)}"
    ours = {target[1] for target in targets if target[0] == "models" and len(target) > 1}
    if part in LATE:
        allowed = LATE | {"options", "task", "settings", "wording"} | ({"protocols"} if part == "report" else set())
        assert ours <= allowed, f"{module} imports {sorted(ours)}"
    if part == "protocols":
        assert ours <= {"protocols", "task"}, f"{module} imports {sorted(ours)}"
    order = ["task", "attention", "encoders", "fusion", "options", "settings", "network", "examples", "inference"]
    order += ["losses", "fit", "items", "job", "seeds", "train"]
    if part in order:
        assert not ours & set(order[order.index(part) + 1 :]), f"{module} imports what is built on it"


@pytest.mark.parametrize("module", [m for m in modules("models") if m.startswith("models.report.sections.")])
def test_sections_of_the_report_know_neither_view_nor_page(module):
    below = {"sections", "charts", "gather", "writing", "runs", "tables"}
    assert {name.split(".")[2] for name in imports(module) if name.startswith("models.report.")} <= below


def test_modules_that_apply_a_model_import_each_other_in_no_circle():
    known = [module for module in modules("models") if module.startswith("models.apply.")]
    TopologicalSorter({module: set(imports(module)) & set(known) for module in known}).prepare()


@pytest.mark.parametrize("module", [m for m in modules("models") if m.split(".")[1] in WITHOUT_TORCH])
def test_tables_and_report_do_without_torch(module):
    source = ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text()
    assert "import torch" not in source
    assert "from torch" not in source


def test_nothing_that_tables_and_report_import_loads_torch():
    names = ", ".join(m for m in modules("models") if m.split(".")[1] in WITHOUT_TORCH)
    code = f"import sys, {names}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def plugs() -> set[str]:
    from models.fusion.registry import FUSIONS
    from pipeline.corpora.registry import READERS
    from pipeline.features.registry import EXTRACTORS
    from pipeline.words.registry import RECOGNISERS

    return {name for registry in (READERS, EXTRACTORS, FUSIONS, RECOGNISERS) for name in registry.built_in}


@pytest.mark.parametrize("package", ["pipeline", "models", "workflow", "affectflow"])
def test_nobody_asks_for_a_plug_by_name(package):
    asked = []
    for path in sorted((ROOT / package).rglob("*.py")):
        if path.relative_to(ROOT).as_posix().startswith(PLUGS):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare | ast.match_case):
                asked += [(path, c.value) for c in ast.walk(node) if isinstance(c, ast.Constant) and c.value in plugs()]
    assert not asked


@pytest.mark.parametrize("package", ["pipeline", "models"])
def test_packages_know_nothing_of_snakemake_or_the_configuration_file(package):
    names, texts = [], []
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names += [(path, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names.append((path, node.module or ""))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append((path, node.value))
    assert len(names) > 100 < len(texts)
    assert not [each for each in names if each[1].partition(".")[0] in ("snakemake", "workflow", "affectflow")]
    # A message may speak of the file: that is a text of several words.
    assert not [each for each in texts if re.fullmatch(r"\S*config\.yaml|snakemake[\w.]*", each[1])]


def test_training_imports_neither_mediapipe_nor_cv2():
    code = "import sys, models.train, models.inference; sys.exit(bool({'mediapipe', 'cv2', 'av'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("package", ["pipeline", "models"])
def test_start_up_imports_nothing_heavy(package):
    heavy = "{'torch', 'transformers', 'mediapipe', 'cv2', 'pandas', 'librosa', 'h5py', 'scipy', 'pydantic'}"
    code = f"import sys, {package}, {package}.__main__; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", ["pipeline", "models"])
def test_every_stage_has_help(package):
    main = __import__(f"{package}.__main__", fromlist=["STAGES"])
    from click.testing import CliRunner

    for stage in main.STAGES:
        done = CliRunner().invoke(main.main, [stage, "--help"])
        assert done.exit_code == 0, (stage, done.output, done.exception)
        assert "Usage:" in done.output


@pytest.mark.parametrize("package", ["pipeline", "models", "workflow"])
def test_files_stay_within_350_lines(package):
    long = {}
    for path in [*(ROOT / package).rglob("*.py"), *(ROOT / package).rglob("*.smk")]:
        lines = len(path.read_text().splitlines())
        if lines > 350:
            long[str(path.relative_to(ROOT))] = lines
    assert not long


def test_the_lock_is_exact_hashed_and_names_no_registry():
    text = (ROOT / "requirements.lock").read_text()
    pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
    assert all("==" in pin for pin in pins)
    assert text.count("--hash=sha256:") >= len(pins)
    assert "http://" not in text
    assert "https://" not in text
    assert sum(pin.startswith("opencv") for pin in pins) == 1


def test_only_the_plugs_of_a_corpus_name_it():
    """A reader, with its figures."""
    own = r"pipeline/corpora/readers/(iemocap|affwild2)/\w+\.py"
    naming = re.compile("iemocap|affwild2")
    paths = [
        p
        for package in ("pipeline", "models")
        for p in (ROOT / package).rglob("*")
        if p.suffix in (".py", ".css", ".js")
    ]
    others = [p.relative_to(ROOT).as_posix() for p in paths]
    named = [name for name in others if not re.fullmatch(own, name) and naming.search((ROOT / name).read_text())]
    assert not named


def test_house_words_name_nothing():
    """What messages say in their own words has a standard name in code."""
    words, found = {"said", "told", "held", "together", "hear", "heard", "unheard", "listen", "spot", "finder"}, []
    for path in (ROOT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            for name in (getattr(node, kind, None) for kind in ("id", "arg", "name", "attr")):
                if isinstance(name, str) and name.strip("_").lower() in words:
                    found.append(f"{path.relative_to(ROOT)}, line {node.lineno}: {name}")
    assert not found
