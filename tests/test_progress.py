"""What a person is told of a run, checked on real Snakemake runs whose jobs take known times and fail in known ways."""

import os
import re
import subprocess
import sys
import time

import pytest

from tests.workflow_runs import ROOT, SNAKEMAKE
from workflow.progress import Run, account, duration, headline, table

SNAKEFILE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from snakemake.logging import DefaultFormatter, logger
from workflow.progress import Reporter
REPORTER = Reporter(logger, DefaultFormatter())
onstart: REPORTER.start(log)
onsuccess: REPORTER.end()
onerror: REPORTER.end()
rule all:
    input: expand("nap/{{k}}.txt", k=range(3)), "again.txt", config.get("more", [])
rule nap:
    output: "nap/{{k}}.txt"
    log: "logs/nap-{{k}}.log"
    benchmark: "benchmarks/nap/{{k}}.tsv"
    shell: "echo 'Finished jobid: 77 (Rule: nap)' > {{log}}; sleep 0.{{wildcards.k}}; sleep 0.5; touch {{output}}"
rule again:  # fails at first
    output: "again.txt"
    log: "logs/again.log"
    retries: 1
    shell: "test -f tried || {{{{ touch tried; echo 'Finished jobid: 77 (Rule: nap)' > {{log}}; exit 1; }}}}; touch {{output}}"
rule broken:
    output: "broken.txt"
    log: "logs/broken.log"
    shell: "echo first > {{log}}; echo 'error: no such microphone' >> {{log}}; exit 3"
rule starved:
    output: "starved.txt"
    log: "logs/starved.log"
    shell: "(kill -9 $BASHPID) > {{log}}; touch {{output}}"
rule skewed:
    input: "future.txt"
    output: "skewed.txt"
    shell: "touch {{output}}"
"""  # noqa: E501


def run(folder, *arguments, fails=False):
    done = subprocess.run(
        [*SNAKEMAKE, "--cores", "2", "--keep-going", "--show-failed-logs", *arguments],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert bool(done.returncode) == fails, done.stderr
    return done.stderr


def newest_log(folder) -> list[str]:
    return max((folder / ".snakemake/log").iterdir()).read_text().splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    (folder / "Snakefile").write_text(SNAKEFILE)
    return folder


@pytest.fixture(scope="module")
def good(folder):
    """What a run said in which one job failed at first, and its log."""
    return run(folder), newest_log(folder)


@pytest.fixture(scope="module")
def bad(folder, good):
    """What a run said in which three jobs failed, each in a way of its own, and its log."""
    (folder / "future.txt").touch()
    later_s = time.time() + 3600
    os.utime(folder / "future.txt", (later_s, later_s))
    return run(folder, "broken.txt", "starved.txt", "skewed.txt", fails=True), newest_log(folder)


def test_a_finished_rule_is_told_in_one_line(good):
    said, _ = good
    lines = re.findall(r"^nap: .*$", said, re.M)
    assert len(lines) == 1
    found = re.match(r"nap: all 3 done, (\d\.\d) s of work, (\d\.\d) s each, at most \d+ MB \| \d of 5 jobs", lines[0])
    assert found
    work_s, each_s = map(float, found.groups())
    assert 1.75 <= work_s < 6  # 0.5 + 0.6 + 0.7 s of sleep, measured every half second at first
    assert each_s == pytest.approx(work_s / 3, abs=0.06)


def test_a_job_that_succeeds_at_last_is_not_called_failed(good, folder):
    said, log = good
    state = Run(folder).feed(log)
    assert state.over
    assert state.counts == {"nap": 3, "again": 1, "all": 1}
    assert {job.state for job in state.jobs.values()} == {"finished"}, "a job's own log was taken for Snakemake's"
    assert len(state.jobs) == 5
    assert [job.attempts for job in state.of("again")] == [2]
    assert "failed:" not in said


def test_the_table_at_the_end_has_the_slowest_rule_first(good, folder):
    said, log = good
    rows = said[said.index("5 of 5 jobs done after") :].splitlines()
    assert rows[1].startswith("rule")
    assert rows[2].split()[:4] == ["nap", "3", "0", "0"]
    assert rows[2].endswith("k=2"), "the longest sleep"
    state = Run(folder).feed(log)
    assert account(state, state.clock_s).splitlines()[1:] == rows[1 : 2 + len({j.rule for j in state.jobs.values()})]


def test_failed_jobs_are_listed_with_log_and_last_words(bad):
    said, _ = bad
    end = said[said.index("0 of 3 jobs done, 3 failed after") :]
    assert "failed: broken\n  logs/broken.log: error: no such microphone\n" in end
    assert "failed: starved\n  was killed (SIGKILL); if nobody did that, the machine ran out of memory" in end
    assert "logs/starved.log: is empty" in end
    assert re.search(r"failed: skewed\n  Output skewed.txt has older modification time .* clock skew problem", end)
    assert "was not written" not in end, "skewed has no log"


def test_a_second_terminal_sees_the_same(bad, folder):
    said, _ = bad
    done = subprocess.run(
        [sys.executable, "-m", "workflow.progress"],
        cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=True,
    )  # fmt: skip
    first, *rest = done.stdout.splitlines()
    assert first.endswith(".snakemake.log: over")
    assert rest[0].startswith("0 of 3 jobs done, 3 failed after")
    assert "\n".join(line for line in rest if line.startswith(("failed:", "  "))) in said


def test_a_folder_without_a_run_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "workflow.progress"],
        cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1
    assert f"no run has been started in {tmp_path}" in done.stderr


def test_time_left_on_a_log_of_known_pace():
    """Two workers, ten jobs of 100 s: after 300 s six are done, two more run since then, and 100 s + 100 s are left."""
    clock = "[Fri Nov 20 19:{:02d}:{:02d} 2026]".format
    lines = ["Job stats:", "job   count", "----  -----", "long     10", "all       1", "total    11", ""]
    for k in range(10):
        if k < 8:
            start_s = k // 2 * 100
            lines += [clock(*divmod(start_s, 60)), "localrule long:", f"    output: {k}", f"    jobid: {k}"]
        if k % 2 and k < 7:
            for j in (k - 1, k):
                lines += [clock(*divmod(start_s + 100, 60)), f"Finished jobid: {j} (Rule: long)"]
    state = Run().feed(sorted_by_clock(lines[:7], lines[7:]))
    begin_s = state.begin_s
    assert len(state.in_state("finished")) == 6
    assert len(state.in_state("under way")) == 2
    left_s, unknown = state.left(begin_s + 300)
    assert left_s == pytest.approx(200)
    assert unknown == 1  # all
    assert headline(state, begin_s + 300) == (
        "6 of 11 jobs done, about 3 min 20 s left and 1 jobs of rules not timed yet"
    )


def sorted_by_clock(head: list[str], lines: list[str]) -> list[str]:
    """Messages in the order of their time stamps, ends before starts, as Snakemake writes them."""
    starts = [k for k, line in enumerate(lines) if line.startswith("[")]
    blocks = [lines[a:b] for a, b in zip(starts, [*starts[1:], len(lines)])]
    return head + [line for block in sorted(blocks, key=lambda b: (b[0], "Finished" not in b[1])) for line in block]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.5, "9.5 s"), (59.2, "59 s"), (190, "3 min 10 s"), (7500, "2 h 05 min"), (273600, "3 d 4 h")],
)
def test_times_are_written_for_people(seconds, text):
    assert duration(seconds) == text


def test_tables_align_numbers_on_the_right():
    assert table([("rule", "done"), ("a", 10), ("bb", 9)]) == "rule  done\na       10\nbb       9"
