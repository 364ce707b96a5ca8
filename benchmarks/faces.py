"""The face stage against a bare loop of decode and face mesh, against the usual way, with two workers, and in memory.

    python -m benchmarks faces

The video shows two people side by side, as IEMOCAP does: a dialog of the demonstration corpus, repeated. Times are of
the processor, pinned to one core, after imports; those of two workers are of the clock.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.full_size import write_film
from pipeline.log import peak_memory_mb
from workflow.demo.iemocap import write_dialog

MINUTES = 1.0  # of video in each timing
LONG_MINUTES = (2, 10)  # memory is compared between these


def bare_loop(video: Path, _: Path) -> int:
    """Decode each frame, take the left half, run MediaPipe's FaceMesh: what nobody can do without."""
    import av
    import numpy as np
    from mediapipe.python.solutions.face_mesh import FaceMesh

    found = 0
    with av.open(str(video)) as container, FaceMesh() as mesh:
        container.streams.video[0].codec_context.thread_count = 1
        convert = av.video.reformatter.VideoReformatter()  # kept: a new one for each frame costs more than the mesh
        for frame in container.decode(video=0):
            rgb = convert.reformat(frame, format="rgb24", threads=1).to_ndarray()
            found += mesh.process(np.ascontiguousarray(rgb[:, : frame.width // 2])).multi_face_landmarks is not None
    return found


def usual_way(video: Path, folder: Path, static: bool = True) -> int:
    """Decode to image files, read them back, run FaceMesh on each: what published pipelines do.

    ``static`` is what MediaPipe's guide sets for image files; without it, the mesh tracks through the files.
    """
    import cv2
    import imageio_ffmpeg
    import numpy as np
    from mediapipe.python.solutions.face_mesh import FaceMesh

    cv2.setNumThreads(1)
    program = imageio_ffmpeg.get_ffmpeg_exe()
    command = [program, "-v", "error", "-threads", "1", "-i", video, "-q:v", "2", "-threads", "1", folder / "%06d.jpg"]
    subprocess.run(command, check=True)
    found = 0
    with FaceMesh(static_image_mode=static) as mesh:
        for path in sorted(folder.glob("*.jpg")):
            rgb = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
            found += mesh.process(np.ascontiguousarray(rgb[:, : rgb.shape[1] // 2])).multi_face_landmarks is not None
    return found


def stage(video: Path, folder: Path) -> int:
    """What ``python -m pipeline faces`` does: track, align, encode and write."""
    from pipeline.crops import FaceFile
    from pipeline.faces.stage import write_faces
    from pipeline.records import Segment

    segment = Segment("a", "u", "s", None, None, 0.0, 1e6, picture="left_half")
    write_faces([(video, [segment])], folder / "faces.h5")
    return int(FaceFile(folder / "faces.h5")["a"].valid.sum())


def checks(video: Path, _: Path) -> int:
    """What the stage does only to know what of a video can be trusted: its stamps, its end, what was lost."""
    from pipeline.media import Video
    from pipeline.stamps import Damage

    opened = Video(video)
    Damage(opened._packets, opened.time_base)
    return len(opened.time_s)


WORKERS = {
    "bare_loop": bare_loop,
    "checks": checks,
    "usual_way": usual_way,
    "usual_way_tracking": lambda video, folder: usual_way(video, folder, static=False),
    "stage": stage,
}


COMPARED = {
    "bare_loop": "time of the bare loop / of the stage (at least 0.9)",
    "checks": "time of the checks / of the stage (at most 0.03)",
    "usual_way": "time of the usual way / of the stage (at least 2.5)",
    "usual_way_tracking": "time of the usual way with tracking / of the stage",
}


def _worker(kind: str, video: Path, core: int) -> dict:
    """Run in a process of its own: seconds, memory and frames of one way."""
    os.sched_setaffinity(0, {core})
    import cv2  # noqa: F401 - start-up is not what is compared
    import mediapipe  # noqa: F401

    import pipeline.faces.people

    def processor_s():
        return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

    assert pipeline.faces.people
    with tempfile.TemporaryDirectory() as folder:
        begin_s, clock_s = processor_s(), time.perf_counter()
        found = WORKERS[kind](video, Path(folder))
        used_s, wall_s = processor_s() - begin_s, time.perf_counter() - clock_s
    return {"found": found, "processor_s": used_s, "wall_s": wall_s, "peak_mb": peak_memory_mb()}


def _start(kind: str, video: Path, core: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "benchmarks.faces", kind, video, str(core)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def _result(process: subprocess.Popen) -> dict:
    text, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(process.args)} failed; run it by hand to see why")
    return json.loads(text.splitlines()[-1])


def _best(kind: str, video: Path, core: int, times: int = 3) -> dict:
    return min((_result(_start(kind, video, core)) for _ in range(times)), key=lambda r: r["processor_s"])


def figures() -> dict[str, float]:
    """Ratios of one run; above 1 the stage is faster. Memory in MB."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_dialog(folder / "corpus", 0, "Ses01F_impro01")
        video, clip = next((folder / "corpus").rglob("*.avi")), folder / "clip.avi"
        write_film(clip, video, MINUTES * 60)
        took = {kind: _best(kind, clip, cores[0]) for kind in WORKERS}
        ours, bare = took["stage"], took["bare_loop"]
        out = {name: took[kind]["processor_s"] / ours["processor_s"] for kind, name in COMPARED.items()} | {
            "faces found in a second of one core": ours["found"] / ours["processor_s"],
            "faces found: the stage / the bare loop": ours["found"] / bare["found"],
        }
        if len(cores) > 1:
            alone = min((_result(_start("stage", clip, cores[0])) for _ in range(2)), key=lambda r: r["wall_s"])
            pairs = []
            for _ in range(2):
                running = [_start("stage", clip, core) for core in cores[:2]]
                pairs.append(max((_result(process) for process in running), key=lambda r: r["wall_s"]))
            beside, name = min(pairs, key=lambda r: r["wall_s"]), "pace of two workers / of one"
            out[f"{name} (at least 1.8)"] = 2 * alone["wall_s"] / beside["wall_s"]
            # Unlike the clock, this is right on a machine that has other work too.
            out[f"{name}, by time of the processor"] = 2 * alone["processor_s"] / beside["processor_s"]
        for minutes in LONG_MINUTES:
            write_film(folder / "long.avi", video, minutes * 60)
            long = _result(_start("stage", folder / "long.avi", cores[0]))
            out[f"MB, {minutes} minutes of video (60: under 1500)"] = long["peak_mb"]
    return out


if __name__ == "__main__":
    kind, video, core = sys.argv[1:]
    print(json.dumps(_worker(kind, Path(video), int(core))))
