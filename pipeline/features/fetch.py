"""Fetch a checkpoint once, from a hub, a URL or a local path, into a folder with digests; all later use is offline."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest, sha1
from http.client import HTTPException
from pathlib import Path

from pipeline.features.openable import check_openable
from pipeline.files import digest_file
from pipeline.log import log
from pipeline.records import InputError
from pipeline.weights import Source, check_lock, local_files, needed, parse, read_manifest, seal, verify


def fetch(text: str, out: Path, allow_pickle: bool = False, lock: Path | None = None) -> dict:
    """Bring a checkpoint to ``out`` and return its manifest; does nothing where it is already there and whole.

    What lies at a path may change: where it has, it is copied again, and no lock file holds it. The folder appears only
    when complete. Raises InputError where the source is not there, does not arrive as announced, cannot be opened, or
    differs from the lock file.
    """
    from filelock import FileLock

    source = parse(text)
    if source.kind == "demo":
        made = f"results/weights/demo--{source.location}"
        raise InputError(f"weights {text}: made, not fetched; run `snakemake --cores 1 {made}`")
    out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(out.parent / f".{out.name}.guard"):
        manifest = read_manifest(out)
        there = manifest and manifest["source"] == text and _is_current(source, manifest["files"], allow_pickle)
        partial = out.parent / f".{out.name}.partial"  # kept after a broken download, which then goes on
        if there:
            verify(out)
        else:
            {"hub": _from_hub, "url": _from_url, "path": _from_path}[source.kind](source, partial, allow_pickle)
            try:
                check_openable(partial, f"weights {text}")
            except InputError:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            manifest = seal(partial, text, source.revision, allow_pickle)
        if lock is not None and source.remote:
            check_lock(lock, text, manifest["files"])
        if not there:
            shutil.rmtree(out, ignore_errors=True)
            partial.rename(out)
            size = sum(each["bytes"] for each in manifest["files"].values())
            log.info("%s: %d files, %.1f MB", text, len(manifest["files"]), size / 1e6)
        return manifest


def _is_current(source: Source, files: dict, allow_pickle: bool) -> bool:
    """Whether what was fetched is what the source holds, as it always is where that is pinned."""
    if source.remote:
        return True
    now = {file.name: digest_file(file) for file in local_files(source, allow_pickle)}
    return now == {name: each["sha256"] for name, each in files.items()}


def _from_path(source: Source, partial: Path, allow_pickle: bool) -> None:
    """Copy a local folder's needed files, or a single file."""
    files = local_files(source, allow_pickle)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for file in files:
        shutil.copyfile(file, partial / file.name)


def _from_hub(source: Source, partial: Path, allow_pickle: bool) -> None:
    """Download the needed files of a pinned revision and check each against the size and digest the hub announces."""
    from huggingface_hub import hf_hub_download

    info = hub_files(source)
    wanted = needed(list(info), f"{source.text} on the hub", allow_pickle)
    for name in wanted:
        with _as_input_error(source, name):
            hf_hub_download(source.location, name, revision=source.revision, local_dir=partial, endpoint=_endpoint())
        problem = _differs(partial / name, info[name])
        if problem:
            shutil.rmtree(partial, ignore_errors=True)
            raise InputError(f"{source.text}: {name} did not arrive as announced: {problem}; run again")
    shutil.rmtree(partial / ".cache", ignore_errors=True)
    for path in partial.iterdir():
        if path.name not in wanted:
            path.unlink()


def _from_url(source: Source, partial: Path, allow_pickle: bool) -> None:
    """Download one file and check it against the digest in its source."""
    from urllib.request import urlopen

    name = source.location.rpartition("/")[2]
    needed([name], f"weights {source.text}", allow_pickle)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        with urlopen(source.location, timeout=30) as answer, (partial / name).open("wb") as out:
            shutil.copyfileobj(answer, out, 2**20)
    except (OSError, HTTPException) as error:
        shutil.rmtree(partial)
        raise InputError(
            f"weights {source.text}: could not be downloaded ({str(error)[:200] or type(error).__name__}). Run this on "
            f"a machine with network access, or fetch {name} by other means and give its path"
        ) from None
    kind, _, digest = source.revision.partition("=")
    if problem := _differs(partial / name, {kind: digest}):
        shutil.rmtree(partial)
        raise InputError(
            f"weights {source.text}: {name} did not arrive as pinned: {problem}. Run again; if that does not help, the "
            f"file at this address is another one: find the {kind} of the one you trust"
        )


def hub_files(source: Source) -> dict[str, dict]:
    """``{name: {bytes, sha256 or git}}`` of a pinned revision; raises InputError where HF_ENDPOINT lacks it."""
    from huggingface_hub import HfApi

    with _as_input_error(source):
        info = HfApi(endpoint=_endpoint()).model_info(
            source.location, revision=source.revision, files_metadata=True, timeout=30
        )
    if info.sha != source.revision:
        raise InputError(f"{source.text}: the hub answered with revision {info.sha}; check HF_ENDPOINT")
    files = {}
    for each in info.siblings or []:
        digest = {"sha256": each.lfs.sha256} if each.lfs else {"git": each.blob_id}
        files[each.rfilename] = {"bytes": each.lfs.size if each.lfs else each.size, **digest}
    return files


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _differs(path: Path, announced: dict) -> str | None:
    """How a file differs from the one announced: in its size in bytes, its SHA-256, or its digest in git."""
    size = path.stat().st_size
    if announced.get("bytes") not in (None, size):
        return f"{size} bytes instead of {announced['bytes']}"
    if "sha256" in announced:
        found, named = digest_file(path), "SHA-256"
    else:
        blob = sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        with path.open("rb") as stream:
            found, named = file_digest(stream, lambda: blob).hexdigest(), "git digest"
    expected = announced.get("sha256") or announced["git"]
    return None if found == expected else f"its {named} is another ({found[:12]}..., expected {expected[:12]}...)"


@contextmanager
def _as_input_error(source: Source, name: str | None = None) -> Iterator[None]:
    """Turn the hub client's exceptions into an InputError that says what is wrong and what to do."""
    from huggingface_hub import errors

    try:
        yield
        return
    except InputError:
        raise
    except errors.GatedRepoError:
        text = "the model is gated: accept its terms on its page and log in with `hf auth login`"
    except errors.RevisionNotFoundError:
        text = f"the hub has no revision {source.revision} of it (any more); pin another one in config.yaml"
    except errors.RepositoryNotFoundError:
        text = "the hub has no such model, or it is private; check the name in config.yaml"
    except errors.OfflineModeIsEnabled:
        text = "HF_HUB_OFFLINE is set; unset it where weights are fetched"
    except errors.RemoteEntryNotFoundError:
        text = "the hub lists the file but does not have it; pin another revision"
    except Exception as error:  # any kind: that of whichever HTTP library the client uses
        reason = (str(error.__cause__ or error).splitlines() or ["no reason given"])[0][:200]
        text = (
            f"could not be downloaded from {_endpoint()} ({type(error).__name__}: {reason}). Run this on a "
            "machine with network access, set HF_ENDPOINT to a mirror, or give a local folder"
        )
    raise InputError(f"{source.text}{f', file {name}' if name else ''}: {text}")
