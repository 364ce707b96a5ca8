"""Checkpoints: where they come from, which of their files are loaded, and their digests, checked at every use.

A checkpoint is a folder with a ``weights.json`` that names its source, its revision and the SHA-256 of every other
file. ``weights.lock.yaml`` keeps the same digests for all that is pinned, to be put under version control.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline.files import digest_file, is_litter, replacing, write_json
from pipeline.records import InputError

MANIFEST = "weights.json"
_HUB = re.compile(r"(?P<name>(?:[\w.-]+/)?[\w.-]+)@(?P<revision>.+)", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_URL = re.compile(r"(?P<file>https?://[^\s#/]+/[^\s#]+)(#(?P<pin>\S*))?", re.ASCII)
_PIN = re.compile(r"sha256=[0-9a-f]{64}|git=[0-9a-f]{40}")
_FORMS = (
    "ORG/NAME@COMMIT (40 hexadecimal digits) for a model hub, https://HOST/.../FILE#sha256=HEX or #git=HEX for a file, "
    "a path that begins with / ./ ../ or ~, a file:// URL, or demo:KIND for a small demonstration checkpoint"
)
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


@dataclass(frozen=True, slots=True)
class Source:
    """Where a checkpoint comes from."""

    text: str  # as given in config.yaml
    kind: Literal["hub", "url", "demo", "path"]
    location: str  # hub: ORG/NAME; url: without its pin; demo: KIND; path: the folder or file
    revision: str | None = None  # hub: the commit; url: sha256=HEX, or git=HEX as `git hash-object FILE` prints it

    @property
    def remote(self) -> bool:
        """Whether it is fetched from elsewhere, by anybody and always the same."""
        return self.kind in ("hub", "url")


def parse(text: str) -> Source:
    """Understand a ``weights:`` entry; raises InputError naming the allowed forms, or asking for a pinned revision."""
    if text.startswith("demo:") and re.fullmatch(r"\w+", text[5:], re.ASCII):
        return Source(text, "demo", text[5:])
    if text.startswith("file://"):
        return Source(text, "path", url2pathname(urlsplit(text).path))
    if text.startswith(("/", "./", "../", "~")):
        try:
            return Source(text, "path", str(Path(text).expanduser()))
        except RuntimeError:
            raise InputError(f"weights {text!r}: there is no such user's folder; write the whole path") from None
    if url := _URL.fullmatch(text):
        if not _PIN.fullmatch(url["pin"] or ""):
            raise InputError(
                f"weights {text!r}: no digest that pins the file; write {url['file']}#sha256=HEX with the 64 digits of "
                "`sha256sum FILE`, or #git=HEX with the 40 of `git hash-object FILE`, which git lists as its blob"
            )
        return Source(text, "url", url["file"], url["pin"])
    match = _HUB.fullmatch(text)
    if match and _COMMIT.fullmatch(match["revision"]):
        return Source(text, "hub", match["name"], match["revision"])
    name = match["name"] if match else text
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.ASCII):
        raise InputError(
            f"weights {text!r}: no pinned revision; write {name}@COMMIT with the 40 digits of a commit, as listed on "
            "the model's page under 'Files and versions', 'History'"
        )
    raise InputError(f"weights {text!r} cannot be understood; allowed are {_FORMS}")


def slug(text: str) -> str:
    """A folder name for a source, the same for the same source and different for different ones."""
    source = parse(text)
    if source.kind == "demo":
        return f"demo--{source.location}"
    if source.kind == "hub":
        return f"{source.location.replace('/', '--')}--{source.revision[:12]}"
    stem = re.sub(r"[^\w.-]", "_", Path(source.location).name, flags=re.ASCII) or "folder"
    local = source.kind == "path"
    place = str(Path(source.location).resolve()) if local else text
    return f"{'local' if local else 'file'}--{stem}--{sha256(place.encode()).hexdigest()[:12]}"


def digest_files(folder: Path) -> dict[str, dict]:
    """``{relative name: {sha256, bytes}}`` of every file of a checkpoint but its manifest and litter."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != MANIFEST)
    own = [p for p in files if not any(map(is_litter, p.relative_to(folder).parts))]
    return {p.relative_to(folder).as_posix(): {"sha256": digest_file(p), "bytes": p.stat().st_size} for p in own}


def seal(folder: Path, source: str, revision: str | None = None, allow_pickle: bool = False) -> dict:
    """Write a finished checkpoint's ``weights.json`` and return what it holds."""
    manifest = {
        "source": source, "revision": revision, "allow_pickle": allow_pickle, "files": digest_files(folder)
    }  # fmt: skip
    write_json(folder / MANIFEST, manifest, sort_keys=True)
    return manifest


def read_manifest(folder: Path) -> dict | None:
    """What ``weights.json`` says, or None where the folder has none."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        return {**manifest, "files": dict(manifest["files"])}
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: cannot be read; delete the folder {folder} and fetch the weights again") from None


def verify(folder: Path) -> dict:
    """Check every file of a checkpoint against its manifest and return its provenance: source, revision, digests.

    Raises InputError naming each file that changed, is missing or was added. A folder of the user's own without
    manifest is taken as it is; its digests are recorded all the same.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of weights; fetch it with `affectflow pipeline weights fetch`")
    manifest = read_manifest(folder)
    found = digest_files(folder)
    if manifest is None:
        if not found:
            raise InputError(f"{folder}: holds no file; fetch the weights with `affectflow pipeline weights fetch`")
        manifest = {"source": f"folder {folder.name}", "revision": None, "files": found}
    problems = compare(manifest["files"], found)
    if problems:
        raise InputError(
            f"{folder}: not as fetched from {manifest['source']}: {'; '.join(problems)}. "
            "Delete the folder and fetch the weights again"
        )
    return {
        "source": manifest["source"],
        "revision": manifest["revision"],
        "sha256": {name: each["sha256"] for name, each in found.items()},
    }


def compare(expected: Mapping[str, Mapping], found: Mapping[str, Mapping]) -> list[str]:
    """One sentence for each file that is missing, was added, or has another digest."""
    problems = []
    for name in sorted({*expected, *found}):
        if name not in found:
            problems.append(f"{name} is missing")
        elif name not in expected:
            problems.append(f"{name} was added")
        elif expected[name]["sha256"] != found[name]["sha256"]:
            problems.append(
                f"{name} changed (SHA-256 {found[name]['sha256'][:12]}..., expected {expected[name]['sha256'][:12]}...)"
            )
    return problems


def pickled(folder: Path) -> bool:
    """Whether a checkpoint is only there as a pickle; raises InputError where none was allowed when it was fetched."""
    if any(folder.glob("[!.]*.safetensors")):
        return False
    if any(folder.glob("pytorch_model*.bin")) and (read_manifest(folder) or {}).get("allow_pickle"):
        return True
    raise InputError(
        f"{folder}: holds no model.safetensors; pickled weights are read only where they were fetched with "
        "allow_pickle: true beside weights: in config.yaml"
    )


def needed(names: list[str], where: str, allow_pickle: bool = False) -> list[str]:
    """Those files of a model's folder that loading it needs: configuration, tokenizer or processor, and weights.

    Weights are safetensors, else ONNX, else CTranslate2's model.bin, else word vectors, else a pickle where that is
    allowed. Raises InputError where there are none.
    """
    names = [n for n in names if not is_litter(n)]
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


def local_files(source: Source, allow_pickle: bool) -> list[Path]:
    """The files that a local checkpoint is loaded from; raises InputError where none are weights that may be read."""
    path = Path(source.location)
    if not path.exists():
        raise InputError(f"weights {source.text}: {path} does not exist")
    folder = path.parent if path.is_file() else path
    names = [path.name] if path.is_file() else [p.name for p in path.iterdir() if p.is_file()]
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
        seal(given, f"folder {weights}", allow_pickle=True)
        yield given


def check_lock(lock: Path, source: str, files: Mapping[str, Mapping]) -> None:
    """Compare with the lock file's entry for a source, or add one; safe for several processes at once.

    Raises InputError naming each file that differs from its entry.
    """
    import yaml
    from filelock import FileLock

    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock.with_name(f".{lock.name}.guard")):
        entries = _read_lock(lock) if lock.exists() else {}
        if source in entries:
            problems = compare(entries[source], files)
            if problems:
                raise InputError(
                    f"{source} is no longer what {lock} holds: {'; '.join(problems)}. If you trust the change, remove "
                    "this source's entry from the lock file and run again"
                )
            return
        entries[source] = {name: dict(each) for name, each in files.items()}
        with replacing(lock) as temporary:
            temporary.write_text(
                "# Digests of every file of every pinned checkpoint; written when fetched, checked ever after.\n"
                + yaml.safe_dump(entries, sort_keys=True),
                encoding="utf-8",
            )


def _read_lock(lock: Path) -> dict:
    """The entries of a lock file; raises InputError where it is not one, as after a merge that was left half done."""
    import yaml

    try:
        text = lock.read_text(encoding="utf-8")
        conflict = re.search(r"^(<{7}|={7}|>{7})( |$)", text, re.MULTILINE)
        if conflict:
            line = text.count("\n", 0, conflict.start()) + 1
            raise InputError(f"{lock}, line {line}: a merge conflict was not resolved; keep the entries of both sides")
        entries = yaml.safe_load(text) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{lock}: cannot be read ({' '.join(str(error).split())[:200]}); correct it") from None
    sound = isinstance(entries, dict) and all(
        isinstance(files, dict) and all(isinstance(each, dict) and "sha256" in each for each in files.values())
        for files in entries.values()
    )
    if not sound:
        raise InputError(f"{lock}: is not a table of sources with their files and digests; correct it or delete it")
    return entries
