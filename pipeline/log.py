"""How a stage speaks while it works: log lines, progress, and the memory that it took.

Importing this costs nothing, so that every module may log; what a stage says changes no result.
"""

import logging
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")
EVERY_S = 15.0  # seconds from one line of progress to the next
log = logging.getLogger("affectflow")


_bars = True


def log_to_stderr(bars: bool = True) -> None:
    """Let log lines come out, with the time of day; once in each process, without ``bars`` in one of several."""
    global _bars
    _bars = bars
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)


def peak_memory_mb() -> float:
    """Most memory that this process has held; ru_maxrss, the fallback, counts what its parent held as well."""
    import resource

    status = Path("/proc/self/status")
    peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return (int(peak[1]) if peak else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yield ``items`` under a bar on a terminal, under a plain log line every EVERY_S seconds elsewhere."""
    total = len(items) if total is None and isinstance(items, Sized) else total
    if _bars and sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, desc=what, total=total, unit="")
        return
    begin_s = said_s = time.monotonic()
    count = 0
    for count, item in enumerate(items, start=1):
        yield item
        now_s = time.monotonic()
        if now_s - said_s >= EVERY_S:
            said_s = now_s
            left = f", about {(now_s - begin_s) / count * (total - count):.0f} s left" if total else ""
            log.info("%s: %d%s%s", what, count, f" of {total}" if total else "", left)
    log.info("%s: %d done in %.1f s", what, count, time.monotonic() - begin_s)
