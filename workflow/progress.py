"""How far a run is, what is slow and what failed, read from Snakemake's own log and the benchmark files of the jobs.

    watch -n 10 .venv/bin/python -m workflow.progress        in a second terminal, in the folder of the run

The Snakefile feeds the same reader while it runs: one line per finished rule, one every ten minutes, tables at the end.
"""

import logging
import re
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

QUIET_S = 600  # between two lines of a rule that takes days
FULL_BYTES = 100_000
BLOCK = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):$")
ERROR = re.compile(r"^Error in rule (\w+):$")
FINISHED = re.compile(r"^Finished jobid: (\d+) \(Rule: (\w+)\)$")
FIELD = re.compile(r"^    (jobid|output|log|benchmark|wildcards|message): (.+)$")
COUNT = re.compile(r"^(\w+) +(\d+)$")
EXIT = re.compile(r"returned non-zero exit status (\d+)\.$|died with <Signals\.(SIG\w+)")
REFUSED = re.compile(r"^WorkflowError in rule (\w+) in file ")
CLOCK = re.compile(r"^\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\]$")
EXIT_CODES = {
    137: "was killed (SIGKILL); if nobody did that, the machine ran out of memory: run fewer jobs at once (--cores)",
    139: "crashed (SIGSEGV)",
    143: "was asked to stop (SIGTERM)",
}


@dataclass
class Job:
    """One job as the log tells of it; times are seconds since the epoch, to whole seconds."""

    rule: str
    state: str = "under way"  # under way | finished | failed
    started_s: float = 0.0
    seconds: float = 0.0
    peak_mb: float = 0.0
    attempts: int = 0
    name: str = ""
    logs: list[str] = field(default_factory=list)
    benchmark: str = ""
    message: str = ""


class Run:
    """The state of a run, built line by line from its log."""

    def __init__(self, folder: Path = Path()):
        self.folder = folder
        self.counts: dict[str, int] = {}  # jobs of each rule
        self.jobs: dict[str, Job] = {}  # by Snakemake's job id
        self.begin_s = self.clock_s = 0.0
        self.over = False
        self._part = ""  # which of Snakemake's messages the next lines belong to
        self._rule = ""
        self._fields: dict[str, str] = {}
        self._exits: dict[str, str] = {}  # by command: how those ended of which no error was told yet
        self._refused: dict[str, str] = {}  # by rule: why Snakemake did not accept what a job had made
        self._fence = ""  # the rule of = signs around a failed job's own log, which is none of ours

    def feed(self, lines: Iterable[str]) -> "Run":
        """Read further whole messages of the log."""
        for line in lines:
            self._line(line)
        self._close()
        return self

    def _line(self, line: str) -> None:
        if self._fence:
            self._fence = "" if line == self._fence else self._fence
        elif self._part == "shown log" and line and set(line) == {"="}:
            self._fence, self._part = line, ""
        elif match := CLOCK.match(line):
            self._close()
            self.clock_s = time.mktime(time.strptime(match[1]))
            self.begin_s = self.begin_s or self.clock_s
        elif match := BLOCK.match(line):
            self._part, self._rule = "job", match[1]
        elif match := ERROR.match(line):
            self._part, self._rule = "error", match[1]
        elif match := EXIT.search(line):
            self._exits[line] = EXIT_CODES.get(int(match[1]), "") if match[1] else f"was ended by {match[2]}"
        elif match := REFUSED.match(line):
            self._close()
            self._part, self._rule = "refused", match[1]
        elif self._part == "refused":
            self._refused[self._rule], self._part = line, ""
        elif match := FIELD.match(line):
            self._fields[match[1]] = match[2]
        elif line.startswith("Logfile ") and self._part == "error":
            self._close()
            self._part = "shown log"
        elif match := FINISHED.match(line):
            self._finish(self.jobs.setdefault(match[1], Job(match[2])))
        elif line == "Job stats:":
            self._part = "counts"
        elif self._part == "counts" and (match := COUNT.match(line)) and match[1] != "total":
            self.counts[match[1]] = int(match[2])
        elif line and not line.startswith(" "):
            self._close()
            if line.startswith("Complete log(s):"):
                self.end()

    def end(self) -> None:
        """Note that no more will come: what is under way has not ended well."""
        self.over = True
        for job in self.in_state("under way"):
            job.state, job.message = "failed", self._refused.get(job.rule, "was not finished when the run ended")

    def _close(self) -> None:
        """Take in a message whose last line was read."""
        fields, part = self._fields, self._part
        if part in ("job", "error") and "jobid" in fields:
            job = self.jobs.setdefault(fields["jobid"], Job(self._rule))
            logs = re.sub(r" \(check log file\(s\).*", "", fields.get("log", ""))
            job.logs = logs.split(", ") if logs else []
            if part == "job":
                job.state, job.started_s, job.attempts = "under way", self.clock_s, job.attempts + 1
                job.name, job.benchmark = fields.get("wildcards", ""), fields.get("benchmark", "")
            else:
                job.state, job.seconds = "failed", self.clock_s - job.started_s
                command = next((c for c in self._exits if fields.get("output", "\n").split(", ")[0] in c), "")
                job.message = fields.get("message", "").removeprefix("None") or self._exits.pop(command, "")
        if part != "counts":
            self._part = ""
        self._fields = {}

    def _finish(self, job: Job) -> None:
        job.state, job.seconds = "finished", self.clock_s - job.started_s
        if job.benchmark:
            try:
                names, values = (self.folder / job.benchmark).read_text().splitlines()[:2]
                measured = dict(zip(names.split("\t"), values.split("\t")))
                job.seconds, job.peak_mb = float(measured["s"]), float(measured["max_rss"])
            except (OSError, ValueError, KeyError):
                pass  # very short jobs are not measured; the log's clock has to do

    def of(self, rule: str, state: str = "finished") -> list[Job]:
        """The jobs of a rule in one state."""
        return [job for job in self.jobs.values() if job.rule == rule and job.state == state]

    def in_state(self, state: str) -> list[Job]:
        """All jobs in one state."""
        return [job for job in self.jobs.values() if job.state == state]

    def left(self, now_s: float) -> tuple[float, int]:
        """Estimated seconds left, and how many jobs are not in the estimate: none of their rule has finished yet.

        The work left (mean time of a rule's finished jobs times its jobs left) divided by the pace so far: seconds of
        work done per second, which holds for any number of cores or nodes.
        """
        work_s, unknown = 0.0, 0
        for rule, count in self.counts.items():
            finished, under_way = self.of(rule), self.of(rule, "under way")
            waiting = count - len(finished) - len(under_way) - len(self.of(rule, "failed"))
            if not finished:
                unknown += waiting + len(under_way)
                continue
            mean_s = sum(job.seconds for job in finished) / len(finished)
            work_s += mean_s * waiting + sum(max(0.0, mean_s - (now_s - job.started_s)) for job in under_way)
        done_s = sum(job.seconds for job in self.in_state("finished"))
        done_s += sum(now_s - job.started_s for job in self.in_state("under way"))
        pace = done_s / (now_s - self.begin_s) if now_s > self.begin_s else 1.0
        return work_s / max(pace, 0.1), unknown


def duration(seconds: float) -> str:
    """Write a time for people: 9.5 s, 3 min 10 s, 2 h 05 min, 3 d 4 h."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def headline(run: Run, now_s: float) -> str:
    """How far a run is, and how long it will take, in one line."""
    total = f" of {sum(run.counts.values())}" if run.counts else ""
    parts = [f"{len(run.in_state('finished'))}{total} jobs done"]
    if failed := run.in_state("failed"):
        parts.append(f"{len(failed)} failed")
    left_s, unknown = (0.0, 0) if run.over else run.left(now_s)
    left = [f"about {duration(left_s)} left"] if left_s else []
    left += [f"{unknown} jobs of rules not timed yet"] if unknown else []
    return ", ".join([*parts, " and ".join(left)] if left else parts)


def rule_line(run: Run, rule: str) -> str:
    """What one rule has cost so far, in one line."""
    jobs, peak_mb = run.of(rule), max((job.peak_mb for job in run.of(rule)), default=0.0)
    total_s = sum(job.seconds for job in jobs)
    done = f"{len(jobs)} of {run.counts[rule]}" if run.counts.get(rule, 0) > len(jobs) else f"all {len(jobs)}"
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
    for rule in {job.rule: None for job in run.jobs.values()}:
        jobs = run.of(rule)
        total_s = sum(job.seconds for job in jobs)
        longest = max(jobs, key=lambda job: job.seconds, default=Job(rule))
        mean_s = total_s / len(jobs) if jobs else 0.0
        peak = f"{max(job.peak_mb for job in jobs):.0f} MB" if any(job.peak_mb for job in jobs) else ""
        counts = [len(jobs), len(run.of(rule, "under way")), len(run.of(rule, "failed"))]
        rows.append((total_s, (rule, *counts, *map(duration, (total_s, mean_s, longest.seconds)), peak, longest.name)))
    heading = ("rule", "done", "under way", "failed", "work", "each", "longest", "memory", "the longest was")
    return table([heading, *(row for _, row in sorted(rows, key=lambda row: -row[0]))])


def failures(run: Run) -> str:
    """Each failed job with its log and the last thing it said."""
    lines = []
    for job in run.in_state("failed"):
        tries = f" ({job.attempts} tries)" if job.attempts > 1 else ""
        lines.append(f"failed: {' '.join(filter(None, [job.rule, job.name]))}{tries}")
        told = [job.message, *(f"{log}: {said(run.folder / log)}" for log in job.logs)]
        lines += [f"  {text}" for text in told if text]
    return "\n".join(lines)


def said(path: Path) -> str:
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
    elapsed = duration(now_s - run.begin_s) if run.begin_s else "0 s"
    return "\n".join(filter(None, [f"{headline(run, now_s)} after {elapsed}", slowest(run), failures(run)]))


class Reporter(logging.Handler):
    """Listens to Snakemake's logger and tells of each finished rule in one line."""

    def __init__(self, logger: logging.Logger, formatter: logging.Formatter):
        super().__init__()
        self.setFormatter(formatter)
        self.run, self.logger, self.told_s = Run(), logger, time.time()

    def start(self, logs: list[str]) -> None:
        """Catch up with what the log files hold already, then listen."""
        for path in logs:
            self.run.feed(Path(path).read_text(errors="replace").splitlines())
        self.logger.addHandler(self)

    def end(self) -> None:
        """Tell what the run has cost and what has failed."""
        self.run.end()
        self.logger.info(f"\n{account(self.run, time.time())}\n")

    def emit(self, record: logging.LogRecord) -> None:
        """Read one message; on the end of a rule's last job, or after ten quiet minutes, tell how things stand."""
        try:
            lines = self.format(record).splitlines()
            self.run.feed(lines)
            match, now_s = FINISHED.match(lines[-1]) if lines else None, time.time()
            if match and (self._complete(match[2]) or now_s - self.told_s > QUIET_S):
                self.told_s = now_s
                self.logger.info(f"{rule_line(self.run, match[2])} | {headline(self.run, now_s)}")
        except Exception:
            self.handleError(record)

    def _complete(self, rule: str) -> bool:
        return len(self.run.of(rule)) == self.run.counts.get(rule)


def main() -> None:
    """Print how the newest run in this folder stands."""
    logs = sorted(Path(".snakemake/log").glob("*.snakemake.log"))
    if not logs:
        sys.exit(
            f"no run has been started in {Path.cwd()}: there is no .snakemake/log; change to the folder of the run"
        )
    run = Run().feed(logs[-1].read_text(errors="replace").splitlines())
    now_s = logs[-1].stat().st_mtime if run.over else time.time()
    state = "over" if run.over else f"last heard of {duration(now_s - logs[-1].stat().st_mtime)} ago"
    print(f"{logs[-1]}: {state}\n{account(run, now_s)}")


if __name__ == "__main__":
    main()
