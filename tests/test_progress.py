"""What a person is told of a run, checked on real Snakemake runs whose jobs take known times and fail in known ways."""

import json
import logging
import os
import re
import subprocess
import sys
import time
from collections import Counter

import pytest

from models.report.writing import duration
from tests import warm_snakemake
from workflow.progress import Reporter, account, headline, table
from workflow.run_log import Run, read_run

SNAKEFILE = """
import atexit
from snakemake.logging import logger
from workflow.progress import Reporter, say_reports
REPORTER = Reporter(logger)
atexit.register(say_reports, workflow)
onstart: REPORTER.start(workflow.dag)
onsuccess: REPORTER.end()
onerror: REPORTER.end()
rule all:
    input: expand("nap/{k}.txt", k=range(3)), "again.txt", config.get("more", [])
rule nap:
    output: "nap/{k}.txt"
    log: "logs/nap-{k}.log"
    benchmark: "benchmarks/nap/{k}.tsv"
    shell: "echo 'Finished jobid: 77 (Rule: nap)' > {log}; sleep 0.{wildcards.k}; sleep 0.5; touch {output}"
rule html_report:
    output: page="{corpus}_report.html"
    shell: "touch {output}"
rule again:  # fails at first
    output: "again.txt"
    log: "logs/again.log"
    retries: 1
    shell: "test -f tried || {{ touch tried; echo 'Finished jobid: 77 (Rule: nap)' > {log}; exit 1; }}; touch {output}"
rule broken:
    output: "broken.txt"
    log: "logs/broken.log"
    shell: "echo first > {log}; echo 'error: no such microphone' >> {log}; exit 3"
rule starved:
    output: "starved.txt"
    log: "logs/starved.log"
    shell: "(kill -9 $BASHPID) > {log}; touch {output}"
rule skewed:
    input: "future.txt"
    output: "skewed.txt"
    shell: "touch {output}"
"""


def run(folder, *arguments, fails=False):
    arguments, out = ["--cores", "2", "--keep-going", "--show-failed-logs", *arguments], folder / "said"
    code = warm_snakemake.run(arguments, folder, dict(os.environ), out)
    assert bool(code) == fails, out.read_text()
    return out.read_text()


def newest_events(folder):
    return max((folder / ".snakemake/log").glob("*.events.jsonl"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    (folder / "Snakefile").write_text(SNAKEFILE)
    return folder


@pytest.fixture(scope="module")
def good(folder):
    """What a run said in which one job failed at first, and its log."""
    return run(folder), newest_events(folder)


@pytest.fixture(scope="module")
def bad(folder, good):
    """What a run said in which three jobs failed, each in a way of its own, and its log."""
    (folder / "future.txt").touch()
    later_s = time.time() + 3600
    os.utime(folder / "future.txt", (later_s, later_s))
    return run(folder, "broken.txt", "starved.txt", "skewed.txt", fails=True), newest_events(folder)


def test_a_finished_rule_is_told_in_one_line(good):
    said, events = good
    log = max(events.parent.glob("*.snakemake.log"))
    lines = re.findall(r"^nap: .*$", said, re.M)
    assert len(lines) == 1
    details = re.compile(r"^(local)?rule \w+:|Finished jobid: [0-3]|^Select jobs", re.M)
    assert details.search(log.read_text())
    assert not details.search(said), "what each job is stands in the log alone"
    found = re.match(r"nap: all 3 done, (\d\.\d) s of work, (\d\.\d) s each, at most \d+ MB \| \d of 5 jobs", lines[0])
    assert found
    work_s, each_s = map(float, found.groups())
    assert 1.75 <= work_s < 6  # 0.5 + 0.6 + 0.7 s of sleep, measured every half second at first
    assert each_s == pytest.approx(work_s / 3, abs=0.06)


def test_the_last_line_says_where_the_report_lies(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    page = f"Open {tmp_path / 'mine_report.html'} in a browser"
    assert "Open" not in run(tmp_path, "mine_report.html", "--dry-run")
    for _ in ("made", "there already"):
        assert run(tmp_path, "mine_report.html").splitlines()[-1].startswith(page)
    assert "Open" not in run(tmp_path, "mine_report.html", "broken.txt", fails=True)


def test_a_fault_in_telling_is_told_and_ends_no_run(tmp_path):
    broken = "\nREPORTER._complete = lambda rule: 1 / 0\n"
    (tmp_path / "Snakefile").write_text(SNAKEFILE.replace("\nonstart:", broken + "onstart:", 1))
    said = run(tmp_path, "nap/0.txt")
    assert "--- Logging error ---" in said
    assert "ZeroDivisionError" in said
    assert (tmp_path / "nap/0.txt").is_file()


def test_a_job_that_succeeds_at_last_is_not_called_failed(good):
    said, log = good
    state = read_run(log)
    assert state.over
    assert Counter(job.rule for job in state.jobs.values()) == {"nap": 3, "again": 1, "all": 1}
    assert {job.state for job in state.jobs.values()} == {"finished"}, "a job's own log was taken for Snakemake's"
    assert [job.attempts for job in state.select("finished", "again")] == [2]
    assert "failed:" not in said


def test_the_table_at_the_end_has_the_slowest_rule_first(good):
    said, log = good
    rows = said[said.index("5 of 5 jobs done after") :].splitlines()
    assert rows[1].startswith("rule")
    assert rows[2].split()[:4] == ["nap", "3", "0", "0"]
    assert rows[2].endswith("k=2"), "the longest sleep"
    state = read_run(log)
    assert account(state, state.begin_s).splitlines()[1:] == rows[1:5]


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
        [sys.executable, "-m", "affectflow", "progress"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, *rest = done.stdout.splitlines()
    assert first.endswith(".events.jsonl: over")
    assert rest[0].startswith("0 of 3 jobs done, 3 failed after")
    assert "\n".join(line for line in rest if line.startswith(("failed:", "  "))) in said


def test_a_folder_without_a_run_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "affectflow", "progress"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"no run has been started in {tmp_path}" in done.stderr


def test_time_left_on_a_run_of_known_pace(tmp_path):
    """Two workers, ten jobs of 100 s: 350 s after the start six are done, two are half done, and two are waiting."""

    begin_s = 1e9
    jobs = {str(k): ["long", f"k={k}", [f"{k}.log"], ""] for k in range(10)} | {"10": ["report", "", [], ""]}
    state = Run(tmp_path).feed([{"event": "planned", "time_s": begin_s, "jobs": jobs}])
    for pair in range(4):
        two = [str(2 * pair), str(2 * pair + 1)]
        at, end = {"time_s": begin_s + 100 * pair}, {"time_s": begin_s + 100 * pair + 100}
        state.feed({"event": "started", "job": k, **at} for k in two)
        if pair < 3:
            state.feed({"event": "finished", "job": k, **end} for k in two)
    assert [len(state.select(s, "long")) for s in ("finished", "under way", "waiting")] == [6, 2, 2]

    now_s = state.begin_s + 350
    left_s, unknown = state.left(now_s)
    assert unknown == 1, "nothing is known of the report"
    # Without a log the two wait in a queue: four times 100 s at a pace of 600 s of work in 350 s.
    assert left_s == pytest.approx(400 / (600 / 350))
    for k in (6, 7):
        (tmp_path / f"{k}.log").touch()
    assert state.left(now_s)[0] == pytest.approx(150), "half of two, then two more, on two workers"
    assert headline(state, now_s) == "6 of 11 jobs done, about 2 min 30 s left and 1 jobs of rules not timed yet"


def test_events_that_cannot_be_written_are_said_once_and_still_told(tmp_path, caplog):
    reporter = Reporter(logging.getLogger("a full disk"))
    reporter.path = tmp_path / "absent" / "events.jsonl"
    for name in ("planned", "ended"):
        reporter._take({"event": name, "time_s": 1.0, "jobs": {"1": ["long", "k=1", [], ""]}})
    assert reporter.run.over
    assert [len(reporter.run.jobs), len(caplog.records)] == [1, 1]
    assert "misses events: No such file" in caplog.text


def test_lines_that_a_full_disk_cut_are_left_out(good, tmp_path):
    """The first line, the plan, goes on in the line that was written once there was room again."""
    plan, *others = good[1].read_text().splitlines(keepends=True)
    file = tmp_path / ".snakemake" / "log" / "cut.events.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text(plan[:40] + "".join(others))
    state = read_run(file)
    assert (state.jobs, state.over) == ({}, True)
    assert 0 <= time.time() - state.begin_s < 3600
    (again,) = [number for number, job in read_run(good[1]).jobs.items() if job.rule == "again"]
    lost = [line for line in others if json.loads(line)["event"] == "started" and json.loads(line)["job"] == again]
    file.write_text("".join(line for line in [plan, *others] if line not in lost))
    state = read_run(file)
    assert [(job.attempts, job.state) for job in state.jobs.values() if job.rule == "again"] == [(0, "finished")]
    assert all(0 <= job.seconds < 3600 for job in state.jobs.values())


@pytest.mark.parametrize("arguments", [["--dry-run"], []], ids=["planned", "run"])
def test_who_reads_the_first_line_alone_hangs_and_breaks_nothing(tmp_path, arguments):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(120) == 0
    assert (tmp_path / "nap/2.txt").exists() == (not arguments)


def test_a_line_that_is_still_being_written_waits(good):
    _, events = good
    whole = events.read_text()
    half = events.with_name("half.events.jsonl")
    half.write_text(whole[: whole.rindex('"ended"')])
    state = read_run(half)
    half.unlink()
    assert not state.over
    assert len(state.select("finished")) == len(state.jobs) == 5


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.5, "9.5 s"), (59.2, "59 s"), (190, "3 min 10 s"), (7500, "2 h 05 min"), (273600, "3 d 4 h")],
)
def test_times_are_written_for_people(seconds, text):
    assert duration(seconds) == text


def test_tables_align_numbers_on_the_right():
    assert table([("rule", "done"), ("a", 10), ("bb", 9)]) == "rule  done\na       10\nbb       9"
