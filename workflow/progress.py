"""How far a run is, what is slow and what failed, from Snakemake's own events and the benchmark files of the jobs.

    watch -n 10 .venv/bin/affectflow progress        in a second terminal, in the folder of the run

The Snakefile's listener writes the events down and tells of them while it runs: one line when the last job of a rule
ends, one when any job ends after ten quiet minutes, tables at the end.
"""

import json
import logging
import os
import shutil
import sys
import time
from pathlib import Path

import click

from models.report.writing import duration
from workflow.run_log import FOLDER, SUFFIX, Job, Run, events_of, planned, read_run

QUIET_S = 600  # time between two lines of a rule that takes days
FULL_BYTES = 100_000


def headline(run: Run, now_s: float) -> str:
    """How far a run is, and how long it will take, in one line."""
    parts = [f"{len(run.select('finished'))} of {len(run.jobs)} jobs done"]
    if failed := run.select("failed"):
        parts.append(f"{len(failed)} failed")
    left_s, unknown = (0.0, 0) if run.over else run.left(now_s)
    left = [f"about {duration(left_s)} left"] if left_s else []
    left += [f"{unknown} jobs of rules not timed yet"] if unknown else []
    return ", ".join([*parts, " and ".join(left)] if left else parts)


def rule_line(run: Run, rule: str) -> str:
    """What one rule has cost so far, in one line."""
    jobs = run.select("finished", rule)
    count, peak_mb = sum(job.rule == rule for job in run.jobs.values()), max(job.peak_mb for job in jobs)
    total_s = sum(job.seconds for job in jobs)
    done = f"{len(jobs)} of {count}" if count > len(jobs) else f"all {count}"
    memory = f", at most {peak_mb:.0f} MB" if peak_mb else ""
    return f"{rule}: {done} done, {duration(total_s)} of work, {duration(total_s / len(jobs))} each{memory}"


def table(rows: list[tuple]) -> str:
    """Rows as text in columns; the first row is the heading, numbers stand on the right."""
    rows = [tuple(map(str, row)) for row in rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    right = [all(row[k][:1].isdigit() or not row[k] for row in rows[1:]) for k in range(len(rows[0]))]
    return "\n".join(
        "  ".join(v.rjust(w) if r else v.ljust(w) for v, w, r in zip(row, widths, right)).rstrip() for row in rows
    )


def slowest(run: Run) -> str:
    """A table of the rules, the one with most work first."""
    rows = []
    for rule in {job.rule: None for job in run.jobs.values() if job.state != "waiting"}:
        jobs = run.select("finished", rule)
        total_s = sum(job.seconds for job in jobs)
        longest = max(jobs, key=lambda job: job.seconds, default=Job(rule))
        mean_s = total_s / len(jobs) if jobs else 0.0
        peak = f"{max(job.peak_mb for job in jobs):.0f} MB" if any(job.peak_mb for job in jobs) else ""
        counts = [len(jobs), len(run.select("under way", rule)), len(run.select("failed", rule))]
        rows.append((total_s, (rule, *counts, *map(duration, (total_s, mean_s, longest.seconds)), peak, longest.name)))
    heading = ("rule", "done", "under way", "failed", "work", "each", "longest", "memory", "the longest was")
    return table([heading, *(row for _, row in sorted(rows, key=lambda row: -row[0]))])


def failures(run: Run) -> str:
    """Each failed job with its log and the last thing it said."""
    lines = []
    for job in run.select("failed"):
        tries = f" ({job.attempts} tries)" if job.attempts > 1 else ""
        lines.append(f"failed: {' '.join(filter(None, [job.rule, job.name]))}{tries}")
        messages = [job.message, *(f"{log}: {last_line(run.folder / log)}" for log in job.logs)]
        lines += [f"  {text}" for text in messages if text]
    return "\n".join(lines)


def last_line(path: Path) -> str:
    """The last line of a log file, which is where errors say what happened."""
    try:
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        return "was not written"
    if lines:
        return lines[-1][:300]
    return "is empty" + (", for the disk is full" if shutil.disk_usage(path.parent).free < FULL_BYTES else "")


def account(run: Run, now_s: float) -> str:
    """The headline, the slowest rules and the failed jobs."""
    first = f"{headline(run, now_s)} after {duration(now_s - run.begin_s)}"
    return "\n".join(filter(None, [first, slowest(run), failures(run)]))


def is_for_the_screen(record: logging.LogRecord) -> bool:
    """Whether a message is shown: what each job is, and that it begins and ends, stands in Snakemake's log alone."""
    of_one_job = record.module == "job_scheduler" or str(getattr(record, "event", None)) == "job_info"
    return record.levelno > logging.INFO or not of_one_job


def say_reports(workflow) -> None:
    """Where nothing is left to do, say where the reports lie; to be called when all else has been said."""
    dag = workflow.dag
    if workflow.dryrun or dag is None or any(dag.needrun_jobs()):
        return
    pages = sorted(Path(job.output.page).absolute() for job in dag.jobs if job.rule.name == "html_report")
    for page in filter(Path.exists, pages):
        print(f"Open {page} in a browser: one file, which needs nothing beside it.", file=sys.stderr)


def go_on_unread(handler: logging.StreamHandler) -> None:
    """Have a handler of the screen fall silent where its pipe is closed, as by `head`: its error would hang the run."""
    emit = handler.emit

    def emit_or_fall_silent(record: logging.LogRecord) -> None:
        try:
            emit(record)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), handler.stream.fileno())

    handler.emit = emit_or_fall_silent  # type: ignore[method-assign]


class Reporter(logging.Handler):
    """Listens to Snakemake's logger, writes its events down and tells of each finished rule in one line."""

    def __init__(self, logger: logging.Logger):
        super().__init__()
        self.run, self.logger, self.told_s = Run(), logger, time.time()
        self.path, self.written = Path(), True
        streams = [each for each in logger.handlers if isinstance(each, logging.StreamHandler)]
        self.screens = [each for each in streams if each.name == "DefaultStreamHandler"]
        for handler in self.screens:
            go_on_unread(handler)

    def start(self, dag) -> None:
        """Note the planned jobs and listen from now on in place of the screen."""
        self.path = FOLDER / (time.strftime("%Y-%m-%dT%H%M%S.") + f"{os.getpid()}{SUFFIX}")
        self._take(planned(dag))
        for handler in self.screens:
            if not self.logger.isEnabledFor(logging.DEBUG):  # not --verbose
                handler.addFilter(is_for_the_screen)
        self.logger.addHandler(self)

    def end(self) -> None:
        """Tell what the run has cost and what has failed."""
        self._take({"event": "ended", "time_s": time.time()})
        self.logger.info(f"\n{account(self.run, time.time())}\n")

    def emit(self, record: logging.LogRecord) -> None:
        """Take in one message; on the end of a rule's last job, or after ten quiet minutes, tell how things stand."""
        try:
            for event in events_of(record):
                self._take(event)
                now_s = time.time()
                if event["event"] == "finished" and event["job"] in self.run.jobs:
                    rule = self.run.jobs[event["job"]].rule
                    if self._complete(rule) or now_s - self.told_s > QUIET_S:
                        self.told_s = now_s
                        self.logger.info(f"{rule_line(self.run, rule)} | {headline(self.run, now_s)}")
        except Exception:  # whatever it is, it is told with its trace, and does not end a run of days
            self.handleError(record)

    def _take(self, event: dict) -> None:
        self.run.feed([event])
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(event) + "\n")
        except OSError as error:  # a full disk must not keep from the screen what failed
            if self.written:
                self.written = False
                self.logger.warning(f"{self.path}: cannot be written, so `progress` misses events: {error.strerror}")

    def _complete(self, rule: str) -> bool:
        return all(job.state == "finished" for job in self.run.jobs.values() if job.rule == rule)


@click.command()
def main() -> None:
    """Print how the newest run in this folder stands."""
    files = sorted(FOLDER.glob(f"*{SUFFIX}"))
    if not files:
        sys.exit(f"no run has been started in {Path.cwd()}: there is no {FOLDER}; change to the folder of the run")
    run, now_s = read_run(files[-1]), time.time()
    last_s = files[-1].stat().st_mtime
    run.begin_s = run.begin_s or last_s  # of a run of which nothing could be written
    state = "over" if run.over else f"last event {duration(now_s - last_s)} ago"
    print(f"{files[-1]}: {state}\n{account(run, last_s if run.over else now_s)}")
