"""Bad conditions: each ends with a message that says what happened, and then with the file an untroubled run makes."""

import fcntl
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from tests.workflow_runs import ROOT, command, small_config, snakemake, write_config

UNIT = "Ses01F_impro01"
AUDIO = f"results/iemocap/audio/{UNIT}.h5"
SHARD = "results/iemocap/shards/mfcc/0.h5"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def roots(real_corpora):
    return {"iemocap": real_corpora / "IEMOCAP_full_release", "affwild2": real_corpora / "AffWild2"}


def prepare(folder, roots):
    """A folder to run in, configured with one unit per shard."""
    write_config(folder, small_config(roots, {"demo": {"corpora": {"iemocap": {"shard_units": 1}}}}))
    return folder


@pytest.fixture(scope="module")
def untroubled(roots, tmp_path_factory):
    """A run in which nothing went wrong."""
    folder = prepare(tmp_path_factory.mktemp("untroubled"), roots)
    snakemake(folder, AUDIO, SHARD)
    return folder


@pytest.fixture
def folder(untroubled, tmp_path):
    """A copy of the untroubled run, times of the files included."""
    shutil.copytree(untroubled, tmp_path / "run", copy_function=shutil.copy2)
    return tmp_path / "run"


@contextmanager
def mounted(folder, options):
    """A small file system of its own at ``folder``; skips visibly where this machine does not let us mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mounting needs root: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder, options):
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)


def stage(*arguments, cwd, before=None, **environment):
    """Run one stage as a job does; returns the process."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, preexec_fn=before,
        env={**os.environ, "HDF5_USE_FILE_LOCKING": "FALSE", **environment},
    )  # fmt: skip


def audio_stage(folder, root, out, **options):
    given = ["--root", root, "--tables", "results/iemocap", "--shard", UNIT, "--out", out]
    return stage("audio", *given, cwd=folder, **options)


def test_a_full_disk(untroubled, roots, tmp_path):
    prepare(tmp_path, roots)
    with mounted(tmp_path / "results", "size=300k"):
        said = snakemake(tmp_path, AUDIO, fails=True)
        assert re.search(rf"failed: audio .*{UNIT}\n.*error: No space left on device: \S+; make room", said)
        assert [p.name for p in (tmp_path / "results/iemocap").rglob("*.h5")] == []

        remount(tmp_path / "results", "size=50m")
        snakemake(tmp_path, AUDIO)
        assert (tmp_path / AUDIO).read_bytes() == (untroubled / AUDIO).read_bytes()


def test_a_limit_on_the_size_of_files(untroubled, roots, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    done = audio_stage(untroubled, roots["iemocap"], tmp_path / "out.h5", before=limit)
    assert done.returncode == 1, "HDF5 must not crash at the end"
    assert re.fullmatch(r"error: File too large: \S+; make room, .*", done.stderr.splitlines()[-1])
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_results_folder(untroubled, roots, tmp_path):
    prepare(tmp_path, roots)
    with mounted(tmp_path / "results", "ro,size=50m"):
        said = snakemake(tmp_path, AUDIO, fails=True)
        assert re.search(r"Read-only file system: '\S*results\S*'", said)

        remount(tmp_path / "results", "rw")
        snakemake(tmp_path, AUDIO)
        assert (tmp_path / AUDIO).read_bytes() == (untroubled / AUDIO).read_bytes()


def test_two_workflows_in_one_folder(untroubled, roots, tmp_path):
    prepare(tmp_path, roots)
    first = subprocess.Popen(
        command(tmp_path, AUDIO), cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    locks = tmp_path / ".snakemake/locks"
    end_s = time.monotonic() + 300
    while not (locks.exists() and any(locks.iterdir())):
        assert time.monotonic() < end_s, "the first workflow took no lock"
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGSTOP)
    try:
        said = snakemake(tmp_path, AUDIO, fails=True)
    finally:
        os.killpg(first.pid, signal.SIGCONT)
    assert "Directory cannot be locked" in said
    assert "make sure that no other Snakemake" in said
    assert first.wait(120) == 0
    assert (tmp_path / AUDIO).read_bytes() == (untroubled / AUDIO).read_bytes()


def test_a_stale_lock_on_a_file(folder, untroubled):
    (folder / SHARD).unlink()
    read = [sys.executable, "-c", f"import h5py; h5py.File({AUDIO!r})"]
    with (folder / AUDIO).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        locking = {**os.environ, "HDF5_USE_FILE_LOCKING": "TRUE"}
        assert b"lock" in subprocess.run(read, cwd=folder, capture_output=True, env=locking).stderr
        snakemake(folder, SHARD, python=sys.executable)  # a warm one has read before whether it is to lock
    assert (folder / SHARD).read_bytes() == (untroubled / SHARD).read_bytes()


def test_a_corpus_that_only_the_login_node_sees(folder, roots, tmp_path):
    gone = tmp_path / "scratch/IEMOCAP_full_release"
    done = audio_stage(folder, gone, tmp_path / "out.h5")
    assert done.returncode == 1
    assert f"{gone}: on {platform.node()} this is not a folder; make the corpus visible there" in done.stderr
    gone.mkdir(parents=True)
    assert "this is an empty folder" in audio_stage(folder, gone, tmp_path / "out.h5").stderr
    assert not (tmp_path / "out.h5").exists(), "a missing corpus must not become a file of missing videos"

    # A job on a cluster reads the Snakefile again, on its own node.
    config = (folder / "config.yaml").read_text().replace(str(roots["iemocap"]), str(tmp_path / "nowhere"))
    (folder / "config.yaml").write_text(config)
    said = snakemake(folder, AUDIO, fails=True)
    assert f"{tmp_path / 'nowhere'} does not exist on {platform.node()}" in said


def test_a_clock_that_is_ahead(folder, untroubled):
    ahead_s = time.time() + 3600
    os.utime(folder / "results/iemocap/segments.tsv", (ahead_s, ahead_s))
    assert "Nothing to be done" in snakemake(folder, AUDIO), "the table is the same, whatever its time"

    os.utime(folder / AUDIO, (ahead_s, ahead_s))
    (folder / SHARD).unlink()
    said = snakemake(folder, SHARD, fails=True)
    assert re.search(rf"failed: shard .*\n  Output {SHARD} has older modification time .* clock skew problem", said)
    assert not (folder / SHARD).exists()

    for path in (folder / "results").rglob("*"):
        if path.stat().st_mtime > time.time():
            os.utime(path)
    snakemake(folder, SHARD)
    assert (folder / SHARD).read_bytes() == (untroubled / SHARD).read_bytes()


def test_a_file_cut_short(folder, untroubled):
    whole = (folder / AUDIO).read_bytes()
    left = folder / AUDIO.replace(UNIT, f".{UNIT}.abcd1234")
    left.write_bytes(whole[:1000])  # as a writer leaves it that is killed
    (folder / AUDIO).write_bytes(whole[: len(whole) // 2])  # as no stage leaves it, but a failing disk may
    (folder / SHARD).unlink()
    said = snakemake(folder, SHARD, fails=True)
    assert re.search(rf"{AUDIO}: not an audio file .* delete it and let the workflow make it again", said)

    (folder / AUDIO).unlink()
    snakemake(folder, SHARD)
    assert (folder / SHARD).read_bytes() == (untroubled / SHARD).read_bytes()
    assert not left.exists()


def test_a_job_that_comes_back_asks_for_more(folder):
    (folder / SHARD).unlink()
    (folder / AUDIO).unlink()

    def asked(attempt):
        said = snakemake(folder, "--dry-run", "--attempt", str(attempt), SHARD)
        blocks = re.findall(r"^rule (\w+):\n(?:    .*\n)*?    resources: (.*)$", said, re.M)
        return {rule: {k: int(v) for k, v in re.findall(r"(mem_mb|runtime)=(\d+)", text)} for rule, text in blocks}

    first, third = asked(1), asked(3)
    assert set(first) == {"audio", "shard"}
    assert first["audio"]["mem_mb"] >= 500
    for rule in first:
        assert third[rule]["mem_mb"] == 3 * first[rule]["mem_mb"]
    assert third["audio"]["runtime"] == 3 * first["audio"]["runtime"]


def test_a_job_of_all_folds_asks_for_time_for_all(folder):
    said = snakemake(folder, "--dry-run", "--attempt", "3", "results/iemocap/runs/self-A/fold0/predictions.parquet")
    ((folds, block),) = re.findall(r"^rule train_(\d+)_folds:\n((?:    .*\n)+)", said, re.M)
    (output,) = re.findall(r"^    output: (.*)$", block, re.M)
    assert len(output.split(", ")) == int(folds) > 1
    assert re.findall(r"runtime=(\d+)", block) == [str(240 * 3 * int(folds))]
