"""What the jobs of a run are doing, read from Snakemake's log and from the benchmark files that the jobs leave."""

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):$")
ERROR = re.compile(r"^Error in rule (\w+):$")
FINISHED = re.compile(r"^Finished jobid: (\d+) \(Rule: (\w+)\)$")
SUBMITTED = re.compile(r"^(?:Job (\d+) has been submitted|Submitted array job with Snakemake IDs ([\d,]+) )")
FIELD = re.compile(r"^    (jobid|output|log|message): (.+)$")
EXIT = re.compile(r"returned non-zero exit status (\d+)\.$|died with <Signals\.(SIG\w+)")
REFUSED = re.compile(r"^WorkflowError in rule (\w+) in file ")
CLOCK = re.compile(r"^\[(\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4})\]$")
DATE = re.compile(r"^  Date: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)$")
EXIT_CODES = {
    137: "was killed (SIGKILL); if nobody did that, the machine ran out of memory: run fewer jobs at once (--cores)",
    139: "crashed (SIGSEGV)",
    143: "was asked to stop (SIGTERM)",
}


@dataclass
class Job:
    """One job; times are seconds since the epoch, from a log that writes whole seconds."""

    rule: str
    name: str = ""  # its wildcards
    logs: list[str] = field(default_factory=list)
    benchmark: str = ""
    state: str = "waiting"  # waiting | under way (perhaps in a cluster's queue) | finished | failed
    started_s: float = 0.0
    seconds: float = 0.0
    peak_mb: float = 0.0
    attempts: int = 0
    message: str = ""


class Run:
    """The state of a run: the jobs that were planned, and what its log has told of them so far."""

    def __init__(self, folder: Path = Path()):
        self.folder = folder
        self.jobs: dict[str, Job] = {}  # by Snakemake's job id
        self.begin_s = self.clock_s = 0.0
        self.over = False
        self._part = self._rule = ""  # which of Snakemake's messages the next lines belong to, and which rule
        self._fields: dict[str, str] = {}
        self._exits: dict[str, str] = {}  # by command: how those ended of which no error was told yet
        self._refused: dict[str, str] = {}  # by rule: why Snakemake did not accept what a job had made
        self._fence = ""  # the rule of = signs around a failed job's own log, which is none of ours

    def plan(self, dag) -> list[dict]:
        """Take the jobs from Snakemake's graph of jobs; returns them for ``load``."""
        self.begin_s = self.clock_s = time.time()
        rows = []
        for job in dag.needrun_jobs():
            name = ", ".join(f"{key}={value}" for key, value in job.wildcards_dict.items())
            logs, benchmark = list(map(str, job.log)), str(job.benchmark or "")
            rows.append({"id": str(dag.jobid(job)), "job": [job.rule.name, name, logs, benchmark]})
        return self.load(rows)

    def load(self, rows: list[dict]) -> list[dict]:
        """Take the jobs that another process has planned."""
        self.jobs.update({row["id"]: Job(*row["job"]) for row in rows})
        return rows

    def feed(self, lines: Iterable[str]) -> "Run":
        """Read further whole messages of the log."""
        for line in lines:
            self._line(line)
        self._close()
        return self

    def end(self) -> None:
        """Note that no more will come: what is under way has not ended well."""
        self.over = True
        for job in self.select("under way"):
            job.state, job.message = "failed", self._refused.get(job.rule, "was not finished when the run ended")

    def select(self, state: str, rule: str | None = None) -> list[Job]:
        """The jobs in one state, of one rule or of all."""
        return [job for job in self.jobs.values() if job.state == state and rule in (None, job.rule)]

    def left(self, now_s: float) -> tuple[float, int]:
        """Estimated seconds left, and how many jobs are not in the estimate: none of their rule has finished yet.

        The work left (mean time of a rule's finished jobs times its jobs left) divided by the pace so far: seconds of
        work done per second, which holds for any number of cores or nodes.
        """
        left_s = done_s = 0.0
        unknown = 0
        for rule in {job.rule for job in self.jobs.values()}:
            finished, under_way = self.select("finished", rule), self.select("under way", rule)
            waiting = len(self.select("waiting", rule))
            if not finished:
                unknown += waiting + len(under_way)
                done_s += sum(self._elapsed(job, now_s) for job in under_way)
                continue
            mean_s = sum(job.seconds for job in finished) / len(finished)
            under_way_s = sum(min(mean_s, self._elapsed(job, now_s)) for job in under_way)
            left_s += mean_s * (waiting + len(under_way)) - under_way_s
            done_s += mean_s * len(finished) + under_way_s
        pace = done_s / (now_s - self.begin_s) if now_s > self.begin_s else 1.0
        return left_s / max(pace, 0.1), unknown

    def _elapsed(self, job: Job, now_s: float) -> float:
        """Seconds that a job has worked; what waits in a cluster's queue has written no log yet."""
        begun = not job.logs or (self.folder / job.logs[0]).exists()
        return max(0.0, now_s - job.started_s) if begun else 0.0

    def _line(self, line: str) -> None:
        if self._fence:
            self._fence = "" if line == self._fence else self._fence
        elif self._part == "shown log" and line and set(line) == {"="}:
            self._fence, self._part = line, ""
        elif match := CLOCK.match(line):
            self._close()
            self.clock_s = time.mktime(time.strptime(match[1]))
        elif match := DATE.match(line):
            self.begin_s = self.clock_s = time.mktime(time.strptime(match[1], "%Y-%m-%d %H:%M:%S"))
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
        elif match := SUBMITTED.match(line):
            self._close()
            for number in (match[1] or match[2]).split(","):
                self._start(self.jobs.setdefault(number, Job("job")))
        elif match := FINISHED.match(line):
            self._finish(self.jobs.setdefault(match[1], Job(match[2])))
        elif line and not line.startswith(" "):
            self._close()
            if line.startswith("Complete log(s):"):
                self.end()

    def _close(self) -> None:
        """Take in a message whose last line was read."""
        if self._part in ("job", "error") and "jobid" in self._fields:
            job = self.jobs.setdefault(self._fields["jobid"], Job(self._rule))
            if self._part == "job":
                self._start(job)
            else:
                self._fail(job, self._fields)
        self._part, self._fields = "", {}

    def _start(self, job: Job) -> None:
        if job.state != "under way":  # a cluster's jobs may be told of twice: as begun and as submitted
            job.state, job.started_s, job.attempts = "under way", self.clock_s, job.attempts + 1

    def _fail(self, job: Job, fields: dict[str, str]) -> None:
        job.state, job.seconds = "failed", self.clock_s - job.started_s
        logs = re.sub(r" \(check log file\(s\).*", "", fields.get("log", ""))
        job.logs = logs.split(", ") if logs else []  # a cluster's own log among them
        command = next((c for c in self._exits if fields.get("output", "\n").split(", ")[0] in c), "")
        job.message = fields.get("message", "").removeprefix("None") or self._exits.pop(command, "")

    def _finish(self, job: Job) -> None:
        job.state, job.seconds = "finished", self.clock_s - job.started_s
        if job.benchmark:
            try:
                names, values = (self.folder / job.benchmark).read_text().splitlines()[:2]
                measured = dict(zip(names.split("\t"), values.split("\t")))
                job.seconds, job.peak_mb = float(measured["s"]), float(measured["max_rss"])
            except (OSError, ValueError, KeyError):
                pass  # very short jobs are not measured; the log's clock has to do


def plan_path(log: Path) -> Path:
    """Where the planned jobs of the run with this log are kept."""
    return log.with_suffix(".jobs.json")


def read_run(log: Path) -> Run:
    """The state of the run that writes, or has written, this log in its folder's .snakemake/log."""
    run = Run(log.absolute().parents[2])
    if plan_path(log).exists():
        run.load(json.loads(plan_path(log).read_text()))
    return run.feed(log.read_text(errors="replace").splitlines())
