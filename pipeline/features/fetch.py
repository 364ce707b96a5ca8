"""Fetch a checkpoint once, from a hub, a URL or a local path, into a folder with digests; all later use is offline."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest, sha1
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.features.openable import check_openable
from pipeline.files import digest_file
from pipeline.log import log
from pipeline.records import InputError
from pipeline.weights import MANIFEST, Source, check_lock, parse, read_manifest, seal, verify

_SMALL = {
    "config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json",
    "video_preprocessor_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "normalizer.json", "bpe.codes",
    "LICENSE", "LICENSE.txt", "LICENSE.md",
}  # fmt: skip
_TOKENIZER_MODEL = re.compile(r"[\w.-]+\.model")
_SAFE = re.compile(r"model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json")
_PICKLE = re.compile(r"pytorch_model(-\d+-of-\d+)?\.bin|pytorch_model\.bin\.index\.json")
_ONNX = re.compile(r"[\w.-]+\.onnx(_data|\.data)?")
_VECTORS = re.compile(r"[\w.-]+\.vec|[\w.-]*\d+d\.txt")  # word vectors, as in glove.840B.300d.txt
_CTRANSLATE2 = re.compile(r"model\.bin|(shared_)?vocabulary\.(json|txt)")


def needed(names: list[str], where: str, allow_pickle: bool = False) -> list[str]:
    """Those files of a model's folder that loading it needs: configuration, tokenizer or processor, and weights.

    Weights are safetensors, else ONNX, else CTranslate2's model.bin, else word vectors, else a pickle where that is
    allowed. Raises InputError where there are none.
    """
    small = [n for n in names if n in _SMALL or _TOKENIZER_MODEL.fullmatch(n)]
    for pattern in (_SAFE, _ONNX, *([_CTRANSLATE2] if "model.bin" in names else []), _VECTORS):
        if found := [n for n in names if pattern.fullmatch(n)]:
            return sorted(small + found)
    pickles = [n for n in names if _PICKLE.fullmatch(n)]
    if pickles and allow_pickle:
        return sorted(small + pickles)
    if pickles:
        raise InputError(
            f"{where}: its weights are only there as a pickle ({', '.join(pickles)}), which can run code when loaded. "
            "Choose a revision or model with model.safetensors, or trust it and set allow_pickle: true beside weights"
        )
    there = ", ".join(sorted(names)[:20]) or "no files"
    raise InputError(
        f"{where}: holds no weights (model.safetensors, *.onnx, CTranslate2's model.bin, or word vectors *.vec or "
        f"*NNNd.txt); there are {there}"
    )


def fetch(text: str, out: Path, allow_pickle: bool = False, lock: Path | None = None) -> dict:
    """Bring a checkpoint to ``out`` and return its manifest; does nothing where it is already there and whole.

    The folder appears only when complete. Raises InputError where the source is not there, does not arrive as
    announced, cannot be opened, or differs from the lock file.
    """
    from filelock import FileLock

    source = parse(text)
    if source.kind == "demo":
        made = f"results/weights/demo--{source.location}"
        raise InputError(f"weights {text}: made, not fetched; run `snakemake --cores 1 {made}`")
    out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(out.parent / f".{out.name}.guard"):
        manifest = read_manifest(out)
        if manifest and manifest["source"] == text:
            verify(out)
        else:
            partial = out.parent / f".{out.name}.partial"  # kept after a broken download, which then goes on
            {"hub": _from_hub, "url": _from_url, "path": _from_path}[source.kind](source, partial, allow_pickle)
            try:
                check_openable(partial, f"weights {text}")
            except InputError:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            manifest = seal(partial, text, source.revision, allow_pickle)
            if lock is not None:
                check_lock(lock, text, manifest["files"])
            shutil.rmtree(out, ignore_errors=True)
            partial.rename(out)
            log.info("%s: %d files, %.1f MB", text, len(manifest["files"]), _bytes(manifest["files"]) / 1e6)
            return manifest
        if lock is not None:
            check_lock(lock, text, manifest["files"])
        return manifest


def _bytes(files: dict) -> int:
    return sum(each["bytes"] for each in files.values())


def _from_path(source: Source, partial: Path, allow_pickle: bool) -> None:
    """Copy a local folder's needed files, or a single file."""
    files = local_files(source, allow_pickle)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for file in files:
        shutil.copyfile(file, partial / file.name)


def local_files(source: Source, allow_pickle: bool) -> list[Path]:
    """The files that a local checkpoint is loaded from; raises InputError where none are weights that may be read."""
    path = Path(source.location)
    if not path.exists():
        raise InputError(f"weights {source.text}: {path} does not exist")
    folder, names = (path.parent, [path.name]) if path.is_file() else (path, sorted(_names(path)))
    return [folder / name for name in needed(names, f"weights {source.text}", allow_pickle)]


@contextmanager
def as_fetched(weights: Path | None) -> Iterator[Path | None]:
    """A folder with what a run is given of a checkpoint, pickles allowed; one that was fetched is that already.

    Raises InputError as ``local_files`` does.
    """
    if weights is None or read_manifest(weights):
        yield weights
        return
    with TemporaryDirectory(prefix="affectflow-") as folder:
        given = Path(folder, weights.resolve().name)
        given.mkdir(exist_ok=True)
        for file in local_files(Source(str(weights), "path", str(weights)), allow_pickle=True):
            (given / file.name).symlink_to(file.resolve())
        yield given


def _names(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.is_file() and p.name != MANIFEST]


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
