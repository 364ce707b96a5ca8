"""What the jobs of a run are doing: Snakemake's own events, kept beside its log, and the benchmark files of the jobs.

A file of events has one JSON object a line, each with ``event`` and ``time_s``, seconds since the epoch: first the
planned ``jobs``, then what of Snakemake's events decides the state of a job.
"""

import json
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

FOLDER, SUFFIX = Path(".snakemake/log"), ".events.jsonl"
ENDINGS = {  # end of Snakemake's message: explanation
    "exit status 137.": "was killed (SIGKILL); if nobody did that, the machine ran out of memory: run fewer jobs at "
    "once (--cores)",
    "exit status 139.": "crashed (SIGSEGV)",
    "exit status 143.": "was asked to stop (SIGTERM)",
}


@dataclass
class Job:
    """One job; times are seconds since the epoch."""

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


def planned(dag) -> dict:
    """The event that says which jobs are planned, from Snakemake's graph of jobs."""
    jobs = {}
    for job in dag.needrun_jobs():
        name = ", ".join(f"{key}={value}" for key, value in job.wildcards_dict.items())
        jobs[str(dag.jobid(job))] = [job.rule.name, name, list(map(str, job.log)), str(job.benchmark or "")]
    return {"event": "planned", "time_s": time.time(), "jobs": jobs}


def events_of(record: logging.LogRecord) -> Iterator[dict]:
    """What one message of Snakemake's logger says of jobs; nothing, as a rule."""
    fields, at = vars(record), {"time_s": record.created}
    event = str(fields.get("event"))
    if event in ("job_info", "job_started"):
        for number in fields.get("jobs") or [fields["jobid"]]:
            yield {"event": "started", **at, "job": str(number)}
    elif event == "job_finished":
        yield {"event": "finished", **at, "job": str(fields["job_id"])}
    elif event == "job_error":
        why = {
            "logs": list(map(str, fields["log"])),
            "message": fields["rule_msg"] or "",
            "command": fields["shellcmd"],
        }
        yield {"event": "failed", **at, "job": str(fields["jobid"]), **why}
    elif event == "error":  # in words only: why a command ended, or why what a job made was not accepted
        yield {"event": "error", **at, "text": record.getMessage()}


class Run:
    """The state of a run: the jobs that were planned, and what became of them so far."""

    def __init__(self, folder: Path = Path()):
        self.folder = folder
        self.jobs: dict[str, Job] = {}  # by Snakemake's job id
        self.begin_s = 0.0
        self.over = False
        self._errors: list[str] = []  # messages that belong to no failed job yet

    def feed(self, events: Iterable[dict]) -> "Run":
        """Take in further events; jobs that were not planned, such as groups of those that were, do not count."""
        for event in events:
            self.begin_s = self.begin_s or event["time_s"]
            take = getattr(self, f"_{event['event']}")
            if "job" not in event:
                take(event)
            elif job := self.jobs.get(event["job"]):
                job.started_s = job.started_s or event["time_s"]  # the line that said so may be lost
                take(job, event)
        return self

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

    def _planned(self, event: dict) -> None:
        self.jobs.update({number: Job(*job) for number, job in event["jobs"].items()})

    def _started(self, job: Job, event: dict) -> None:
        if job.state != "under way":  # Snakemake says it twice: of the job, and of all that it starts at once
            job.state, job.started_s, job.attempts = "under way", event["time_s"], job.attempts + 1

    def _finished(self, job: Job, event: dict) -> None:
        job.state, job.seconds = "finished", event["time_s"] - job.started_s
        if job.benchmark:
            try:
                names, values = (self.folder / job.benchmark).read_text().splitlines()[:2]
                measured = dict(zip(names.split("\t"), values.split("\t")))
                job.seconds, job.peak_mb = float(measured["s"]), float(measured["max_rss"])
            except (OSError, ValueError, KeyError):
                pass  # very short jobs are not measured; the times of the events have to do

    def _failed(self, job: Job, event: dict) -> None:
        job.state, job.seconds, job.logs = "failed", event["time_s"] - job.started_s, event["logs"]
        why = next((text for text in self._errors if event["command"] and event["command"] in text), "")
        self._errors = [text for text in self._errors if text != why]
        ending = next((meaning for end, meaning in ENDINGS.items() if why.rstrip().endswith(end)), "")
        job.message = event["message"] or ending

    def _error(self, event: dict) -> None:
        self._errors.append(event["text"])

    def _ended(self, event: dict) -> None:
        """Note that no more will come: what is under way has not ended well."""
        self.over = True
        for job in self.select("under way"):
            refused = next((text for text in self._errors if f" rule {job.rule} in " in text), "")
            job.state, job.message = "failed", "was not finished when the run ended"
            if refused:
                job.message = refused.partition("\n")[2].strip().splitlines()[0]


def read_run(path: Path) -> Run:
    """The state of the run that writes, or has written, this file of events in its folder's .snakemake/log."""
    return Run(path.absolute().parents[2]).feed(_whole(path.read_text(encoding="utf-8").splitlines()))


def _whole(lines: Iterable[str]) -> Iterator[dict]:
    """The events of lines that are whole: the last may be being written, others were cut by a full disk."""
    for line in lines:
        with suppress(json.JSONDecodeError):
            yield json.loads(line)
