"""Rules: names that need care, imported stores, resources that jobs ask for, and the code that a rule consists of."""

import re
import shlex
import shutil

import numpy as np
import psutil
import pytest
import soundfile
import yaml
from click.testing import CliRunner

from models.fusion.registry import FUSIONS, code_of
from pipeline.corpora.prepare import shards
from pipeline.corpora.registry import READERS
from pipeline.digest import code
from pipeline.features import registry
from pipeline.names import safe_id
from pipeline.records import InputError
from tests.digest_table import rules
from tests.workflow_runs import ROOT, planned, small_config, snakemake, write_config
from workflow.check import check
from workflow.corpora import Corpora
from workflow.feature_jobs import in_jobs

MINE = {"reader": "table", "segments": "labels.csv", "runs": {"self": ["T"]}, "contrasts": []}
SHARDS = ["results/affwild2/shards/log_mel/0.h5"]


def shell_lines(folder, *targets: str) -> list[str]:
    """The shell commands of a dry run."""
    said = snakemake(folder, "--dry-run", "--printshellcmds", *targets)
    return re.findall(r"^ *(?:Shell command: )?(python -m .+)$", said, re.M)


def test_a_demonstration_is_not_written_over_results_of_a_corpus(tmp_path):
    write_config(tmp_path, small_config(changes={"corpora": {"mine": MINE | {"root": str(tmp_path)}}}))
    (tmp_path / "labels.csv").write_text("text,label,speaker\nOh well,happy,ann\nOh no,sad,bob\n")
    for name, target, why in (
        ("iemocap", "results/iemocap/units.tsv", "have no root for it"),
        ("mine", "features_mine", "say scale: demo"),
    ):
        (tmp_path / "results" / name).mkdir(parents=True)
        (tmp_path / "results" / name / "config.json").write_text('{"demonstration": false}')
        said = " ".join(snakemake(tmp_path, "--dry-run", target, fails=True).split())
        assert f"results/{name} holds results of your corpus, and these settings {why}" in said
        assert "Traceback" not in said
    assert planned(tmp_path, "results/mine/units.tsv", "--config", "scale=auto")["index"] == 1
    (tmp_path / "results/iemocap/config.json").write_text('{"demonstration": true}')
    assert planned(tmp_path, "features_iemocap")["index"] == 1


def test_whose_results_they_are_must_be_readable(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "results/iemocap/config.json"
    file.parent.mkdir(parents=True)
    for text in ("", "{}", '{"demonstration": tr'):
        file.write_text(text)
        with pytest.raises(InputError, match=r"results/iemocap/config\.json should say whose results these are"):
            Corpora(small_config()).usable("iemocap")
    file.write_text('{"demonstration": false}')
    done = CliRunner().invoke(check, ["iemocap"])
    assert "results/iemocap holds results of your corpus" in str(done.exception)
    assert "Name the settings of that run, or move the folder away first" in str(done.exception)
    file.write_text('{"demonstration": true}')
    assert CliRunner().invoke(check, ["iemocap"]).exit_code == 0


def test_corpora_are_found_in_what_snakemake_is_asked_for():
    known = Corpora(small_config(changes={"corpora": {"mine": MINE | {"root": "/nowhere"}}}))
    words = ["snakemake", "-n", "results/iemocap_report.html", "features_mine", "results/weights/x", "results/demo/a/b"]
    assert known.asked_for(words) == ["iemocap", "mine"]
    assert known.asked_for(["results/mine/models/self-A", "iemocap", "all", "iemocap.yaml"]) == ["mine"]
    assert known.asked_for(["weights_mine"]) == ["mine"]


def test_a_corpus_that_is_not_there_stops_those_alone_who_ask_for_it(tmp_path):
    write_config(tmp_path, small_config(changes={"corpora": {"mine": MINE | {"root": "/nowhere"}}}))
    assert planned(tmp_path, "results/iemocap/units.tsv")["index"] == 1
    assert planned(tmp_path, "weights_iemocap")["demo_weights"] == 1
    for target in ("features", "all_weights"):
        said = snakemake(tmp_path, "--dry-run", target, fails=True)
        assert "WorkflowError" in said
        assert "corpora.mine.root: /nowhere does not exist" in said


@pytest.mark.parametrize("scale", ["demo", "auto"])
@pytest.mark.parametrize(
    ("own", "why"),
    [
        ({"protocol": "speaker"}, "protocol speaker needs at least 2 different speakers"),
        ({"protocol": "utterance", "turns": "improvized"}, "turns: 'improvized' is in no segment"),
    ],
)
def test_a_corpus_without_folds_stops_those_alone_who_train_on_it(tmp_path, scale, own, why):
    write_config(tmp_path, small_config(changes={"corpora": {"mine": MINE | {"root": str(tmp_path)} | own}}))
    (tmp_path / "labels.csv").write_text("text,label,speaker\nOh well,happy,ann\nOh no,sad,ann\n")
    at = ("--config", f"scale={scale}")
    assert planned(tmp_path, "results/iemocap/units.tsv", *at)["index"] == 1
    jobs = planned(tmp_path, "features_mine", *at)
    assert (jobs["configuration"], jobs["merge"], jobs["split"]) == (1, 1, 0)
    said = snakemake(tmp_path, "--dry-run", "results/mine_report.html", *at, fails=True)
    assert f"corpora.mine: {why}" in said
    assert "Traceback" not in said
    said = snakemake(tmp_path, "--dry-run", f"results/mine/splits/{own['protocol']}.tsv", *at, fails=True)
    assert re.search(rf"WorkflowError:\s+corpora\.mine: {re.escape(why)}", said)


def test_logs_of_two_stores_have_two_names(tmp_path):
    stores = {"mfcc": {"extractor": "mfcc"}, "mfcc-0": {"extractor": "mfcc"}}
    write_config(tmp_path, small_config(changes={"corpora": {"iemocap": {"extractors": stores}}}))
    said = snakemake(tmp_path, "--dry-run", *(f"results/iemocap/features/{store}.h5" for store in stores))
    logs = re.findall(r"^ +log: (\S*logs/features/\S*)", said, re.M)
    assert len(set(logs)) == len(logs) == 4


def test_clips_share_a_feature_job_and_long_recordings_less(tmp_path):
    rows = [f"{k}.wav,{'ab'[k % 2]},s{k % 5}" for k in range(100)]
    (tmp_path / "labels.csv").write_text("\n".join(["audio,label,speaker", *rows]) + "\n")
    settings = small_config(changes={"corpora": {"mine": MINE | {"root": str(tmp_path), "runs": {"self": ["A"]}}}})
    settings["scale"] = "auto"
    times = [f"{row},0,{60 if k < 60 else 5}" for k, row in enumerate(rows)]
    (tmp_path / "times.csv").write_text("\n".join(["audio,label,speaker,start_s,end_s", *times]) + "\n")
    for size, expected in ((2**16, [64, 36]), (2**21, [8] * 12 + [4])):
        for k in range(100):
            with (tmp_path / f"{k}.wav").open("wb") as file:
                file.truncate(size)
        assert [len(part) for part in Corpora(settings)["mine"].parts] == expected
    timed = {**settings["corpora"]["mine"], "segments": "times.csv"}  # of most recordings a minute is known
    assert len(Corpora({**settings, "corpora": {"mine": timed}})["mine"].parts) == 13
    asked = Corpora({**settings, "corpora": {"mine": {**settings["corpora"]["mine"], "shard_units": 50}}})
    assert [len(part) for part in asked["mine"].parts] == [50, 50]


@pytest.mark.parametrize(("count", "clips"), [(100, False), (600, False), (1_500, False), (5_000, True)])
def test_feature_jobs_are_cut_anew_only_where_recordings_have_doubled(count, clips):
    def cut(many):
        files = shards([f"u{k}" for k in range(many)])
        return [[unit for name in job for unit in files[name]] for job in in_jobs(files, None, clips)]

    kept = len(cut(count)) - 1
    assert kept > 10
    assert cut(count)[:kept] == cut((1 << count.bit_length()) - 1)[:kept]


def test_an_imported_store_is_made_by_the_import(tmp_path):
    entry = {"extractor": "import", "modality": "audio", "path": "mine.h5"}
    write_config(tmp_path, small_config(changes={"corpora": {"iemocap": {"extractors": {"mine": entry}}}}))
    (tmp_path / "mine.h5").touch()
    jobs = planned(tmp_path, "results/iemocap/features/mine.h5", "results/iemocap/features/mfcc.h5")
    assert jobs["imported"] == 1
    assert jobs["merge"] == 1


def test_a_store_that_is_joined_in_one_corpus_may_be_extracted_in_another(tmp_path):
    joined = {"extractor": "join", "stores": ["mfcc", "wav2vec2"], "modality": "audio"}
    imported = {"extractor": "import", "modality": "audio", "path": "mine.h5"}
    one = {"both": joined, "taken": imported}
    other = {"both": {"extractor": "mfcc"}, "taken": {"extractor": "log_mel"}}
    changes = {"corpora": {"iemocap": {"extractors": one}, "affwild2": {"extractors": other}}}
    write_config(tmp_path, small_config(changes=changes))
    (tmp_path / "mine.h5").touch()
    jobs = planned(tmp_path, *(f"results/{c}/features/{s}.h5" for c in ("iemocap", "affwild2") for s in one))
    assert (jobs["joined"], jobs["imported"], jobs["merge"]) == (1, 1, 2 + 2)


def test_a_number_may_have_a_name_of_several_words(tmp_path):
    own = {"root": str(tmp_path), "reader": "table", "segments": "labels.csv", "task": "numbers/frame:positive affect"}
    own |= {"runs": {"self_frames": ["A"]}, "contrasts": []}
    rows = [f"{k}.wav,{k}.csv,{k}" for k in range(3)]
    (tmp_path / "labels.csv").write_text("\n".join(["audio,annotation,speaker", *rows]) + "\n")
    for k in range(3):
        soundfile.write(tmp_path / f"{k}.wav", np.zeros(16_000), 16_000)
        (tmp_path / f"{k}.csv").write_text("time_s,positive affect\n0,0.5\n0.5,0.1\n")
    write_config(tmp_path, small_config(changes={"corpora": {"mine": own}}))
    said = shell_lines(tmp_path, "results/mine_report.html")
    tasks = [shlex.split(line) for line in said if " --task " in line or " --columns " in line]
    assert len(tasks) >= 4
    for words in tasks:
        option = "--task" if "--task" in words else "--columns"
        assert words[words.index(option) + 1].endswith("positive affect")


def test_names_of_videos_may_hold_what_a_shell_takes_apart(real_corpora, tmp_path):
    root = tmp_path / "AffWild2"
    shutil.copytree(real_corpora / "AffWild2", root)
    film = root / "videos" / "batch1" / "a (1) & b.mp4"
    shutil.copy(next(root.glob("videos/batch1/*.mp4")), film)
    roots = {"iemocap": real_corpora / "IEMOCAP_full_release", "affwild2": root}
    each_video_a_job = {"demo": {"corpora": {"affwild2": {"media_units": 1}}}}
    write_config(tmp_path, small_config(roots, changes=each_video_a_job))
    commands = [line for line in shell_lines(tmp_path, *SHARDS) if " features " in line]
    unit = safe_id("a (1) & b")
    assert f"--shard {unit} " in commands[0]
    snakemake(tmp_path, f"results/affwild2/audio/{unit}.h5")
    assert (tmp_path / f"results/affwild2/audio/{unit}.h5").is_file()


@pytest.mark.slow
def test_digests_are_kept_before_the_first_job_and_labels_of_frames_follow_their_files(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    (root / "labels.csv").write_text("audio,annotation\n0.wav,0.csv\n")
    soundfile.write(root / "0.wav", np.zeros(16_000), 16_000)
    (root / "0.csv").write_text("time_s,valence\n0,0.5\n0.5,0.1\n")
    own = {"root": str(root), "reader": "table", "segments": "labels.csv", "runs": {"self_frames": ["A"]}}
    write_config(tmp_path, small_config(changes={"corpora": {"mine": {**own, "contrasts": []}}}))
    labels, units = "results/mine/labels.h5", tmp_path / "results/mine/units.tsv"
    snakemake(tmp_path, labels)
    digests = tmp_path / ".snakemake/fingerprints/mine.json"
    assert digests.stat().st_mtime_ns < units.stat().st_mtime_ns, "in case that job is the last"
    assert not planned(tmp_path, labels)
    (root / "0.csv").write_text("time_s,valence\n0,0.5\n0.5,0.2\n")
    assert planned(tmp_path, labels)["frame_labels"] == 1


@pytest.mark.parametrize(("letter", "stage"), [("A", "audio"), ("V", "faces"), ("T", "words")])
def test_one_modality_alone_prepares_no_other(tmp_path, letter, stage):
    alone = {"runs": {"self": [letter]}, "contrasts": []}
    write_config(tmp_path, small_config(changes={"corpora": {"iemocap": alone}}))
    jobs = planned(tmp_path, "results/iemocap_report.html")
    assert {"audio", "faces", "words"} & set(jobs) == {stage}
    assert jobs["shard"] == 1


def test_packing_waits_for_the_votes_that_a_model_learns(tmp_path):
    runs = {"self": ["A"], "self_raters": ["A"]}
    write_config(tmp_path, small_config(changes={"corpora": {"iemocap": {"runs": runs, "contrasts": []}}}))
    given = {}
    for model in runs:
        said = snakemake(tmp_path, "--dry-run", f"results/iemocap/models/{model}-A")
        given[model] = re.search(r"^rule pack:\n +input: (.*)$", said, re.M)[1].split(", ")
    assert set(given["self_raters"]) - {path.replace("self-A", "self_raters-A") for path in given["self"]} == {
        "results/iemocap/targets/session.tsv"
    }


def test_cores_of_a_training_job_go_to_its_seeds(tmp_path):
    write_config(tmp_path, small_config())
    target = "results/iemocap/runs/self-A/fold0/predictions.parquet"
    for threads in ("1", "2"):
        commands = shell_lines(tmp_path, target, "--set-threads", f"train_5_folds={threads}")
        assert any(" train " in line and f"--cores {threads} " in line for line in commands)


def asked(said: str) -> dict[str, dict[str, int]]:
    """What jobs of a dry run ask for, by rule, and by extractor where a rule has one."""
    found = {}
    for rule, block in re.findall(r"^rule ([a-z]+)\w*:\n((?:    .+\n)+)", said, re.M):
        of = re.search(r"extractor=(\w+)", block)
        resources = re.findall(r"\b(gpu|mem_mb)=(\d+)", re.search(r"^    resources: (.*)$", block, re.M)[1])
        found[f"{rule} {of[1]}" if of else rule] = {name: int(amount) for name, amount in resources}
    return found


WHISPER = f"openai/whisper-base@{1:040x}"
NEVER = ("faces", "audio", "shard log_mel", "shard expression", "shard vectors")


@pytest.mark.parametrize(
    ("scale", "recogniser", "useful"),
    [
        ("research", {"kind": "transformers", "weights": WHISPER}, {"words", "shard wav2vec2", "shard bert", "train"}),
        ("research", {"kind": "faster_whisper", "weights": WHISPER}, {"shard wav2vec2", "shard bert", "train"}),
        ("research", {"kind": "pocketsphinx", "weights": None}, {"shard wav2vec2", "shard bert", "train"}),
        ("demo", {"kind": "transformers", "weights": WHISPER}, set()),
    ],
)
def test_jobs_ask_for_a_gpu_where_it_is_useful(tmp_path, scale, recogniser, useful):
    """On a cluster, whatever this machine has. A demonstration takes none unasked, and has room on a small machine."""
    rows = [f"{who}{k}.mp4,{who},{'xy'[k % 2]}" for who in "abcdef" for k in range(4)]
    (tmp_path / "labels.csv").write_text("\n".join(["video,speaker,label", *rows]))
    for row in rows:
        (tmp_path / row.split(",")[0]).write_bytes(b"no media is opened")
    (tmp_path / "own.vec").write_text("2 3\nyes 1 0 0\nno 0 1 0\n")
    vectors = {"extractor": "static_vectors", "weights": str(tmp_path / "own.vec")}
    own = MINE | {"root": str(tmp_path), "protocol": "speaker", "recogniser": recogniser, "runs": {"self": ["A+V+T"]}}
    own["extractors"] = {"vectors": vectors, "log_mel": {"extractor": "log_mel"}}
    changes = {"scale": scale, "corpora": {"iemocap": None, "affwild2": None, "mine": own}}
    write_config(tmp_path, small_config(changes=changes))
    targets = ["runs/self-A+V+T/fold0/predictions.parquet", "features/vectors.h5", "features/log_mel.h5"]
    dry_run = ["--dry-run", "--printshellcmds", "--jobs", "1"]
    said = snakemake(tmp_path, *dry_run, *(f"results/mine/{target}" for target in targets))
    jobs = asked(said)
    assert {rule for rule, resources in jobs.items() if resources.get("gpu")} == useful
    assert jobs.keys() > set(NEVER) | {"words", "train"}
    lines = re.findall(r"^ *(?:Shell command: )?(python -m \w+ (?:words|features|train) .+)$", said, re.M)
    on_processor = {line for line in lines if " --device cpu " in line or '"device":"cpu"' in line}
    assert on_processor == (set(lines) if scale == "demo" else set())
    if scale == "demo":
        assert 3 * max(resources.get("mem_mb", 0) for resources in jobs.values()) <= 8000


def test_jobs_of_one_machine_share_its_memory_and_those_of_a_cluster_do_not(tmp_path):
    write_config(tmp_path, small_config())
    target = "results/iemocap/config.json"

    def provided(*arguments):
        said = snakemake(tmp_path, target, "--force", *arguments)
        assert "1 of 1 jobs done" in said
        return dict(
            re.findall(r"Resource\(\"(\w+)\", (\d+)\)", "".join(re.findall(r"^Provided resources: .*$", said, re.M)))
        )

    here = provided()
    assert here["mem_mb"] == str(psutil.virtual_memory().total // 10**6)
    assert provided("--resources", "mem_mb=5000") == here | {"mem_mb": "5000"}
    assert provided("--jobs", "2", "--executor", "slurm-jobstep") == {}


def test_a_corpus_may_be_called_like_a_folder_of_the_results(tmp_path):
    rows = [f"{who}{k}.wav,{who},{'xy'[k % 2]}" for who in "abcdef" for k in range(4)]
    (tmp_path / "labels.csv").write_text("\n".join(["audio,speaker,label", *rows]))
    for row in rows:
        (tmp_path / row.split(",")[0]).write_bytes(b"no media is opened")
    own = {"reader": "table", "root": str(tmp_path), "segments": "labels.csv", "protocol": "speaker", "contrasts": []}
    own |= {"runs": {"self": ["A"]}, "training_job": "fold"}
    films = {"reader": "affwild2", "root": None, "protocol": "sixfold", "runs": {"rcma": ["A+V"]}, "contrasts": []}
    write_config(tmp_path, small_config(changes={"corpora": {"faces": own, "fold0": films}}))
    assert "contact_sheet" not in planned(tmp_path, "results/faces_report.html")
    inputs = re.findall(
        r"^rule submission:\n +input: (.*)$", snakemake(tmp_path, "--dry-run", "results/fold0/submission"), re.M
    )
    assert [len(re.findall(r"fold\d/predictions", each)) for each in inputs] == [1]
    assert "results/fold0/config.json" in inputs[0], "by which later commands know whose results these are"


IMPORTED = "features mine of iemocap are imported, and the tool that made them cannot be run on another"


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("submission", "a submission needs the task numbers/frame:valence,arousal, iemocap has classes/segment"),
        ("models/theirs-A", IMPORTED),
        ("models/beside-A", IMPORTED),
        ("models/self-V", "iemocap: no run self-V; there are self-A, theirs-A, beside-A"),
    ],
)
def test_what_is_asked_for_by_name_and_cannot_be_made_is_refused_when_planned(tmp_path, target, why):
    imported = {"extractor": "import", "modality": "audio", "path": "mine.npz"}
    both = {"extractor": "join", "stores": ["mfcc", "mine"], "modality": "audio"}
    runs = {"self": ["A"]}
    for name, store in (("theirs", "mine"), ("beside", "both")):
        runs[name] = {"model": "self", "modalities": ["A"], "inputs": {"audio": store}}
    own = {"extractors": {"mine": imported, "both": both}, "runs": runs, "contrasts": []}
    write_config(tmp_path, small_config(changes={"corpora": {"iemocap": own}}))
    (tmp_path / "mine.npz").touch()
    assert why in snakemake(tmp_path, "--dry-run", f"results/iemocap/{target}", fails=True)


def test_a_submission_needs_somebody_in_the_part_test(tmp_path):
    for k in range(3):
        (tmp_path / f"{k}.mp4").touch()
        (tmp_path / f"{k}.csv").write_text("time_s,valence,arousal\n0,0.5,0.1\n")
    config = small_config()
    config["corpora"] = {"mine": {"reader": "table", "root": str(tmp_path), "segments": "labels.csv"}}
    refused = {}
    for parts in (["train", "train", "validation"], ["train", "validation", "test"]):
        rows = [f"{k}.mp4,{k}.csv,{k},{part}" for k, part in enumerate(parts)]
        (tmp_path / "labels.csv").write_text("\n".join(["video,annotation,speaker,part", *rows]))
        refused[parts[-1]] = Corpora(config)["mine"].not_submitted
    assert refused["validation"].startswith("a submission predicts the part test, which is empty in mine")
    assert refused["test"] == ""


def test_the_split_is_told_how_many_folds_are_trained(tmp_path):
    write_config(tmp_path, small_config())
    said = {name: shell_lines(tmp_path, f"results/iemocap/splits/{name}.tsv")[-1] for name in ("session", "speaker")}
    assert " --folds 5 " in said["session"]  # of the configured protocol
    assert "--folds" not in said["speaker"]


def test_a_job_asks_for_the_cores_that_its_model_s_own_training_uses(tmp_path):
    write_config(tmp_path, small_config(changes={"models": {"cross": {"training": {"threads": 2}}}}))
    asked = {}
    for run in ("self-A+V+T", "cross-A+V+T"):
        target = f"results/iemocap/runs/{run}/fold0/predictions.parquet"
        (asked[run],) = [line for line in shell_lines(tmp_path, target) if " train " in line]
    assert "--cores 1 " in asked["self-A+V+T"]
    assert "--cores 2 " in asked["cross-A+V+T"]


def test_a_packed_run_is_given_the_weights_of_joined_features(tmp_path):
    joined = {"extractor": "join", "stores": ["mfcc", "wav2vec2"], "modality": "audio"}
    own = {"extractors": {"both": joined}, "runs": {"both": {"model": "self", "modalities": ["A"]}}, "contrasts": []}
    own["runs"]["both"]["inputs"] = {"audio": "both"}
    write_config(tmp_path, small_config(changes={"corpora": {"iemocap": own}}))
    said = snakemake(tmp_path, "--dry-run", "results/iemocap/models/both-A")
    (inputs,) = re.findall(r"^rule pack:\n +input: (.*)$", said, re.M)
    assert "results/weights/demo--wav2vec2" in inputs


def test_a_rule_consists_of_the_command_it_runs():
    """Fetching alone does not: what was fetched is checked by its digests, and some of it is gigabytes."""
    assert {rule for rule, (_, named) in rules().items() if not named} == {"weights"}
    for rule, (runs, named) in rules().items():
        assert not named or runs in named, rule


def test_a_rule_with_a_plug_consists_of_both():
    def expected(rule, plug):
        return code(rules()[rule][0], plug)

    corpus = Corpora(yaml.safe_load((ROOT / "config.yaml").read_text()))["iemocap"]
    assert corpus.reader_code("frame_labels") == expected("frame_labels", READERS.load("iemocap"))
    assert expected("index", READERS.load("iemocap")) in corpus.tables_digest
    assert registry.code_of("mfcc") == expected("shard", registry.EXTRACTORS.load("mfcc"))
    assert code_of("rcma") == expected("train", FUSIONS.load("rcma"))
