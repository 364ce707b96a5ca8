"""Checkpoints: sources, digests, the lock file, and fetching from a hub-like server on loopback."""

import hashlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors.numpy import save

from pipeline import weights
from pipeline.features.checkpoint import load_processor
from pipeline.features.command import build
from pipeline.features.fetch import fetch
from pipeline.features.weights_command import weights as weights_command
from pipeline.records import InputError
from tests.checkpoint_families import onnx_mean_of_channels
from tests.whisper_checkpoints import convert, make_whisper

REVISION = "0123456789abcdef0123456789abcdef01234567"
SOURCE = f"acme/tiny@{REVISION}"


def torch_file(content) -> bytes:
    """What torch.save writes."""
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


FILES = {
    "config.json": b'{"model_type": "bert"}',
    "vocab.txt": b"[UNK]\nword\n",
    "README.md": b"# not needed",
    "pytorch_model.bin": torch_file({"weight": [1.0]}),
    "flax_model.msgpack": b"flax",
    "model.safetensors": save({"weight": np.arange(128_000, dtype=np.float32)}),
    "onnx/model.onnx": b"onnx",
}


class Hub(BaseHTTPRequestHandler):
    """What a model hub answers: metadata of a revision, and its files, large ones with their SHA-256 as ETag."""

    protocol_version = "HTTP/1.1"

    def __init__(self, state, *args):
        self.state = state
        super().__init__(*args)

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.state["requests"].append(f"{self.command} {self.path}")
        path = self.path.split("?")[0]
        if match := re.fullmatch(r"/api/models/(.+?)/revision/(.+)", path):
            return self.metadata(*match.groups())
        if match := re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path):
            return self.file(*match.groups())
        return self.answer(404, b"")

    def metadata(self, name, revision):
        if name != "acme/tiny":
            return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        if revision != REVISION:
            return self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        siblings = []
        for file, content in self.state["announced"].items():
            entry = {"rfilename": file, "size": len(content)}
            entry["blobId"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            if file.endswith((".safetensors", ".bin")):
                sha256 = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        body = {"id": name, "modelId": name, "sha": revision, "private": False, "tags": [], "siblings": siblings}
        return self.answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def file(self, name, revision, file):
        content = self.state["files"].get(file)
        if name != "acme/tiny" or revision != REVISION or content is None:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": revision}
        self.answer(200, content, headers)

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **dict(headers)}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            cut = self.state["cut"] if len(body) > 10_000 else None
            self.wfile.write(body[:cut])
            if cut is not None:  # a broken download: the connection ends early
                self.close_connection = True
        return None


@pytest.fixture(autouse=True)
def online(monkeypatch):
    """Extraction, tested in the same process, keeps the hub client offline."""
    import huggingface_hub.constants

    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)


@contextmanager
def serve(state):
    """The address of a hub that holds what ``state`` says."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, state))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def hub(monkeypatch):
    state = {"announced": dict(FILES), "files": dict(FILES), "cut": None, "requests": []}
    import huggingface_hub.file_download
    import huggingface_hub.utils._http as http

    for module in (http, huggingface_hub.file_download):  # no waiting between attempts
        if hasattr(module, "time"):
            monkeypatch.setattr(module.time, "sleep", lambda s: None)
    with serve(state) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield state


def test_fetch_takes_only_what_is_needed_and_records_digests(hub, tmp_path):
    lock = tmp_path / "weights.lock.yaml"
    out = tmp_path / "weights" / weights.slug(SOURCE)
    fetch(SOURCE, out, lock=lock)
    assert sorted(os.listdir(out)) == ["config.json", "model.safetensors", "vocab.txt", "weights.json"]
    assert (out / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    expected = {n: hashlib.sha256(FILES[n]).hexdigest() for n in ("config.json", "model.safetensors", "vocab.txt")}
    assert weights.verify(out) == {"source": SOURCE, "revision": REVISION, "sha256": expected}
    locked = yaml.safe_load(lock.read_text())
    assert {n: e["sha256"] for n, e in locked[SOURCE].items()} == expected
    assert sorted(os.listdir(out.parent)) == [f".{out.name}.guard", out.name]  # nothing half-written beside it


def test_fetching_again_asks_nobody_and_repairs_nothing_in_silence(hub, tmp_path):
    out = tmp_path / "w"
    fetch(SOURCE, out)
    count = len(hub["requests"])
    fetch(SOURCE, out)
    assert len(hub["requests"]) == count
    (out / "config.json").write_bytes(b"{}")
    with pytest.raises(InputError, match=r"config\.json changed"):
        fetch(SOURCE, out)


def test_broken_download_leaves_nothing_and_the_next_try_succeeds(hub, tmp_path):
    out = tmp_path / "w"
    hub["cut"] = 50_000
    with pytest.raises(InputError, match=r"model\.safetensors.*could not be downloaded"):
        fetch(SOURCE, out, lock=tmp_path / "lock.yaml")
    assert not out.exists()
    assert not (tmp_path / "lock.yaml").exists()
    hub["cut"] = None
    fetch(SOURCE, out)
    assert (out / "model.safetensors").read_bytes() == FILES["model.safetensors"]


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_file_that_differs_from_what_the_hub_announces(hub, tmp_path, name):
    content = hub["files"][name]
    hub["files"][name] = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(InputError, match=f"{re.escape(name)} did not arrive as announced: its .* is another"):
        fetch(SOURCE, tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_source_that_changed_since_it_was_locked(hub, tmp_path):
    lock = tmp_path / "lock.yaml"
    fetch(SOURCE, tmp_path / "first", lock=lock)
    before = lock.read_text()
    hub["announced"]["config.json"] = hub["files"]["config.json"] = b'{"model_type": "other"}'
    with pytest.raises(InputError, match=r"config\.json changed.*remove this source's entry") as caught:
        fetch(SOURCE, tmp_path / "second", lock=lock)
    assert "vocab.txt" not in str(caught.value)
    assert lock.read_text() == before
    assert not (tmp_path / "second").exists()


def test_revision_that_is_gone_and_model_that_never_was(hub, tmp_path):
    gone = "f" * 40
    with pytest.raises(InputError, match=f"no revision {gone}"):
        fetch(f"acme/tiny@{gone}", tmp_path / "w")
    with pytest.raises(InputError, match=r"acme/none@.*no such model"):
        fetch(f"acme/none@{gone}", tmp_path / "w")


def test_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens on the discard port
    with pytest.raises(InputError, match=r"machine with network access.*HF_ENDPOINT"):
        fetch(SOURCE, tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_pickle_only_when_allowed_and_never_beside_safetensors(hub, tmp_path):
    for state in ("announced", "files"):
        del hub[state]["model.safetensors"]
    with pytest.raises(InputError, match=r"pytorch_model\.bin.*allow_pickle: true"):
        fetch(SOURCE, tmp_path / "w")
    fetch(SOURCE, tmp_path / "w", allow_pickle=True)
    assert (tmp_path / "w" / "pytorch_model.bin").exists()
    assert weights.pickled(tmp_path / "w")
    assert "pytorch_model.bin" not in weights.needed(list(FILES), "x", allow_pickle=True)


@pytest.fixture
def by_url(hub, tmp_path):
    """A URL of an ONNX file, with what pins it: by sha256sum and by git itself."""
    path = tmp_path / "net.onnx"
    onnx_mean_of_channels(path)
    hub["files"]["net.onnx"] = path.read_bytes()
    pins = {}
    for name, command in {"sha256": ["sha256sum"], "git": ["git", "hash-object"]}.items():
        said = subprocess.run([*command, path], check=True, capture_output=True, text=True).stdout
        pins[name] = said.split()[0]
    return f"{os.environ['HF_ENDPOINT']}/acme/tiny/resolve/{REVISION}/net.onnx", pins


@pytest.mark.parametrize("pin", ["sha256", "git"])
def test_a_file_by_url_is_taken_where_its_digest_is_the_pinned_one(hub, by_url, tmp_path, pin):
    url, pins = by_url
    source, out, lock = f"{url}#{pin}={pins[pin]}", tmp_path / "w", tmp_path / "lock.yaml"
    fetch(source, out, lock=lock)
    assert sorted(os.listdir(out)) == ["net.onnx", "weights.json"]
    known = {"source": source, "revision": f"{pin}={pins[pin]}", "sha256": {"net.onnx": pins["sha256"]}}
    assert weights.verify(out) == known
    assert yaml.safe_load(lock.read_text())[source]["net.onnx"]["sha256"] == pins["sha256"]
    count = len(hub["requests"])
    fetch(source, out, lock=lock)
    assert len(hub["requests"]) == count, "it is there"


@pytest.mark.parametrize(("pin", "named"), [("sha256", "SHA-256"), ("git", "git digest")])
def test_a_file_by_url_that_is_another_one_is_refused(by_url, tmp_path, pin, named):
    url, pins = by_url
    wrong = "".join("1" if digit == "0" else "0" for digit in pins[pin])
    with pytest.raises(InputError, match=f"net.onnx did not arrive as pinned: its {named} is another") as caught:
        fetch(f"{url}#{pin}={wrong}", tmp_path / "w", lock=tmp_path / "lock.yaml")
    assert pins[pin][:12] in str(caught.value)
    assert wrong[:12] in str(caught.value)
    assert not {"w", ".w.partial", "lock.yaml"} & set(os.listdir(tmp_path))


def test_a_url_that_gives_no_file(hub, by_url, tmp_path):
    url, pins = by_url
    del hub["files"]["net.onnx"]
    with pytest.raises(InputError, match=r"could not be downloaded \(HTTP Error 404.*fetch net.onnx by other means"):
        fetch(f"{url}#git={pins['git']}", tmp_path / "w")
    nobody = f"http://127.0.0.1:9/net.onnx#git={pins['git']}"
    with pytest.raises(InputError, match="could not be downloaded"):
        fetch(nobody, tmp_path / "w")
    hub["files"]["net.onnx"], hub["cut"] = FILES["model.safetensors"], 50_000
    with pytest.raises(InputError, match=r"net\.onnx"):
        fetch(f"{url}#git={pins['git']}", tmp_path / "w")
    with pytest.raises(InputError, match=r"README\.md"):
        fetch(f"{url.replace('net.onnx', 'README.md')}#git={pins['git']}", tmp_path / "w")
    assert not {"w", ".w.partial"} & set(os.listdir(tmp_path))


def test_a_pointer_that_git_lists_is_no_file(hub, by_url, tmp_path):
    """Of a file in large-file storage git lists the pointer, whose digest is right."""
    url, _ = by_url
    hub["files"]["net.onnx"] = POINTER
    digest = hashlib.sha1(b"blob %d\0" % len(POINTER) + POINTER).hexdigest()
    with pytest.raises(InputError, match=r"net\.onnx is not what its name says: a pointer of Git large-file storage"):
        fetch(f"{url}#git={digest}", tmp_path / "w")


@pytest.mark.parametrize("form", ["{folder}", "file://{folder}", "{folder}/net.onnx"])
def test_local_folder_file_and_url(tmp_path, form):
    folder = tmp_path / "mine with space"
    folder.mkdir()
    for name in ("config.json", "model.safetensors", "README.md", "net.onnx"):
        (folder / name).write_bytes(FILES.get(name, b""))
    onnx_mean_of_channels(folder / "net.onnx")
    source = form.format(folder=folder).replace(" ", "%20" if "://" in form else " ")
    out = tmp_path / weights.slug(source)
    fetch(source, out)
    expected = ["net.onnx"] if source.endswith(".onnx") else ["config.json", "model.safetensors"]
    assert sorted(weights.verify(out)["sha256"]) == expected
    with pytest.raises(InputError, match="does not exist"):
        fetch(f"{tmp_path}/none", tmp_path / "x")


def test_what_lies_at_a_path_is_copied_again_where_it_has_changed(tmp_path):
    """Trained further, say: no lock holds it to what it was; what is as it was is left alone."""
    folder, out = with_file(tmp_path, "model.safetensors", FILES["model.safetensors"]), tmp_path / "w"
    fetch(str(folder), out, lock=tmp_path / "lock.yaml")
    first = os.stat(out).st_ino, os.stat(out / "weights.json").st_mtime_ns
    fetch(str(folder), out, lock=tmp_path / "lock.yaml")
    assert (os.stat(out).st_ino, os.stat(out / "weights.json").st_mtime_ns) == first
    changed = save({"weight": np.ones(4, np.float32)})
    (folder / "model.safetensors").write_bytes(changed)
    (folder / "vocab.txt").unlink()
    fetch(str(folder), out, lock=tmp_path / "lock.yaml")
    files = {"config.json": FILES["config.json"], "model.safetensors": changed}
    assert weights.verify(out)["sha256"] == {name: hashlib.sha256(held).hexdigest() for name, held in files.items()}
    assert not (tmp_path / "lock.yaml").exists()


def test_what_other_programs_leave_in_a_folder_is_nothing_of_the_checkpoint(tmp_path):
    """As macOS and Windows leave it where a folder is looked into, or copied to a disk of theirs."""
    source, out = tmp_path / "net", tmp_path / "w"
    source.mkdir()
    onnx_mean_of_channels(source / "net.onnx")
    for folder in (source, out):
        if folder == out:
            fetch(str(source), out)
            assert sorted(os.listdir(out)) == ["net.onnx", "weights.json"]
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._net.onnx"):
            (folder / name).write_bytes(b"litter")
        assert list(weights.verify(folder)["sha256"]) == ["net.onnx"]
        build("onnx_image", {}, folder, "cpu")


def test_verify_names_each_file(tmp_path):
    folder = tmp_path / "w"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / name).write_text(name)
    weights.seal(folder, "demo:tiny")
    assert weights.verify(folder)["source"] == "demo:tiny"
    (folder / "a").write_text("changed")
    (folder / "b").unlink()
    (folder / "d").write_text("new")
    with pytest.raises(InputError, match=r"a changed .*; b is missing; d was added"):
        weights.verify(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("facebook/wav2vec2-base", "no pinned revision"),
        ("facebook/wav2vec2-base@main", "no pinned revision"),
        ("wav2vec2", "demo:KIND"),
        ("ftp://example.org/model", "demo:KIND"),
        ("https://example.org/a/net.onnx", r"write https://example.org/a/net.onnx#sha256=HEX.*sha256sum FILE"),
        ("https://example.org/net.onnx#git=0123", "no digest that pins the file"),
        ("https://example.org/net.onnx#md5=" + "0" * 32, "no digest that pins the file"),
        ("https://example.org/net.onnx#sha256=" + "A" * 64, "no digest that pins the file"),
        ("demo:", "demo:KIND"),
        ("", "demo:KIND"),
        ("~nobody of this name/model", "no such user's folder"),
    ],
)
def test_source_that_cannot_be_understood(text, said):
    with pytest.raises(InputError, match=said):
        weights.parse(text)


def test_slugs_are_safe_and_distinct(tmp_path):
    texts = [
        SOURCE,
        SOURCE.replace("tiny", "other"),
        SOURCE[:-40] + "f" * 40,
        "demo:bert",
        "https://example.org/a/net.onnx#git=" + "0" * 40,
        "https://example.org/b/net.onnx#git=" + "0" * 40,
        "https://example.org/b/net.onnx#git=" + "1" * 40,
        "/a/model",
        "/b/model",
        "~/x y",
    ]
    slugs = [weights.slug(text) for text in texts]
    assert len(set(slugs)) == len(texts)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", s) for s in slugs)


def test_lock_file_takes_entries_of_many_processes(tmp_path):
    lock = tmp_path / "lock.yaml"
    code = (
        "import sys; from pathlib import Path; from pipeline.weights import check_lock\n"
        "for i in range(10): check_lock(Path(sys.argv[1]), f'{sys.argv[2]}-{i}', {'f': {'sha256': 'x', 'bytes': 1}})"
    )
    runs = [subprocess.Popen([sys.executable, "-c", code, str(lock), str(k)]) for k in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert len(yaml.safe_load(lock.read_text())) == 30


def test_list_says_what_is_needed_how_large_and_what_is_there(hub, tmp_path):
    config = tmp_path / "config.yaml"
    entries = {
        "here": {"extractor": "transformers_text", "weights": SOURCE},
        "demo": {"extractor": "transformers_audio", "weights": "demo:wav2vec2"},
        "gone": {"extractor": "transformers_text", "weights": f"acme/none@{REVISION}"},
        "loose": {"extractor": "transformers_text", "weights": "acme/loose@main"},
        "mfcc": {"extractor": "mfcc"},
    }
    config.write_text(yaml.safe_dump({"corpora": {"iemocap": {"extractors": entries}}}))
    call = ["list", "--config-json", str(config), "--weights", str(tmp_path / "weights")]
    said = CliRunner().invoke(weights_command, call, catch_exceptions=False).output
    assert "for corpora.iemocap.extractors.here\n    not there; the workflow fetches it, 0.5 MB" in said
    assert "no such model" in said
    assert "CANNOT BE USED: weights 'acme/loose@main': no pinned revision" in said
    assert "the workflow makes it" in said
    fetch(SOURCE, tmp_path / "weights" / weights.slug(SOURCE))
    said = CliRunner().invoke(weights_command, [*call, "--offline"], catch_exceptions=False).output
    assert "there, in" in said
    (tmp_path / "weights" / weights.slug(SOURCE) / "config.json").write_text("{}")
    said = CliRunner().invoke(weights_command, [*call, "--offline"], catch_exceptions=False).output
    assert "DAMAGED" in said


def test_command_line_fetches_through_a_mirror(hub, tmp_path):
    base = [sys.executable, "-m", "pipeline", "weights"]
    command = [*base, "fetch", SOURCE, "--out", str(tmp_path / "w"), "--lock", str(tmp_path / "lock.yaml")]
    subprocess.run(command, check=True, env={**os.environ, "HF_HOME": str(tmp_path / "home")})
    run = subprocess.run([*base, "verify", str(tmp_path / "w")], check=True, capture_output=True, text=True)
    assert "3 files as fetched from acme/tiny" in run.stdout
    (tmp_path / "w" / "vocab.txt").write_text("other")
    run = subprocess.run([*base, "verify", str(tmp_path / "w")], capture_output=True, text=True)
    assert run.returncode != 0
    assert "vocab.txt changed" in run.stderr
    assert "Traceback" not in run.stderr


# --- what cannot be opened ---------------------------------------------------------------

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4665076d97\nsize 440449768\n"
PAGE = b"<!DOCTYPE html><html><body>404 Not Found</body></html>"


class Hostile:
    """Pickled, this runs a command when it is read."""

    def __reduce__(self):
        return (os.system, ("touch hostile-code-ran",))


def with_file(tmp_path, name, content):
    folder = tmp_path / "mine"
    folder.mkdir()
    for known in ("config.json", "vocab.txt"):
        (folder / known).write_bytes(FILES[known])
    if name != "model.safetensors" and not name.endswith((".bin", ".onnx")):
        (folder / "model.safetensors").write_bytes(FILES["model.safetensors"])
    (folder / name).write_bytes(content)
    return folder


INDEX = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}}).encode()
UNOPENABLE = {
    "a pointer": ("model.safetensors", POINTER, "a pointer of Git large-file storage"),
    "a web page": ("model.safetensors", PAGE, "a web page"),
    "an error message": ("model.safetensors", b'{"error":"Repository not found"}', "an error message of a server"),
    "cut": ("model.safetensors", FILES["model.safetensors"][:100_000], "cannot be opened"),
    "empty": ("model.safetensors", b"", "an empty file"),
    "noise": ("model.safetensors", bytes(range(256)) * 40, "cannot be opened"),
    "a web page as tokenizer": ("tokenizer.json", PAGE, "a web page"),
    "a pointer as vocabulary": ("spiece.model", POINTER, "a pointer of Git"),
    "half a configuration": ("config.json", b'{"model_type": "be', "cannot be opened"),
    "an index of files that are not there": ("model.safetensors.index.json", INDEX, "names model-00001-of-00002"),
    "a pickle that runs code": ("pytorch_model.bin", pickle.dumps({"a": Hostile()}), "cannot be opened"),
    "the same in a zip": ("pytorch_model.bin", torch_file({"a": Hostile()}), "cannot be opened"),
    "a cut pickle": ("pytorch_model.bin", FILES["pytorch_model.bin"][:200], "cannot be opened"),
    "a pointer as onnx": ("net.onnx", POINTER, "a pointer of Git"),
    "noise as onnx": ("net.onnx", b"onnx", "cannot be opened"),
}


@pytest.mark.parametrize("kind", UNOPENABLE)
def test_what_cannot_be_opened_is_not_fetched(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    name, content, says = UNOPENABLE[kind]
    folder = with_file(tmp_path, name, content)
    with pytest.raises(InputError, match=re.escape(name)) as caught:
        fetch(str(folder), tmp_path / "w", allow_pickle=True, lock=tmp_path / "lock.yaml")
    assert says in str(caught.value)
    assert not (tmp_path / "w").exists()
    assert not (tmp_path / "lock.yaml").exists()
    assert not (tmp_path / "hostile-code-ran").exists()


def test_what_can_be_opened_is_fetched(tmp_path):
    fetch(str(with_file(tmp_path, "pytorch_model.bin", FILES["pytorch_model.bin"])), tmp_path / "a", allow_pickle=True)
    onnx_mean_of_channels(tmp_path / "mine" / "net.onnx")
    fetch(str(tmp_path / "mine" / "net.onnx"), tmp_path / "b")
    assert (tmp_path / "a" / "pytorch_model.bin").exists()
    assert (tmp_path / "b" / "net.onnx").exists()


def test_a_page_from_the_hub_is_not_fetched(hub, tmp_path):
    for state in ("announced", "files"):
        hub[state]["model.safetensors"] = PAGE
    with pytest.raises(InputError, match=r"model\.safetensors is not what its name says: a web page"):
        fetch(SOURCE, tmp_path / "w")
    assert os.listdir(tmp_path) == [".w.guard"]


@pytest.mark.parametrize(("text", "says"), [
    ("<<<<<<< HEAD\na/b@1: {}\n=======\n>>>>>>> theirs\n", "line 1: a merge conflict was not resolved"),
    ("a/b@1:\n  f: {sha256: x, bytes: 1}\n=======\n", "line 3: a merge conflict"), ("a: [", "cannot be read"),
    ("- a\n", "is not a table of sources"), ("a/b@1: 3\n", "is not a table"), ("a/b@1: {f: {}}\n", "is not a table"),
])  # fmt: skip
def test_a_lock_file_that_cannot_be_read_says_where(tmp_path, text, says):
    (tmp_path / "lock.yaml").write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        weights.check_lock(tmp_path / "lock.yaml", "x", {})
    assert str(tmp_path / "lock.yaml") in str(caught.value)
    assert (tmp_path / "lock.yaml").read_text() == text


# --- tokenizers ------------------------------------------------------------------------


FAMILIES = (
    "bert roberta distilbert electra albert deberta-v2 xlm-roberta camembert xlnet gpt2 t5 funnel mobilebert mpnet"
)


@pytest.mark.parametrize("family", [*FAMILIES.split(), "mpnet"])
def test_a_checkpoint_without_tokenizer_files_is_refused(tmp_path, family):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    with pytest.raises(InputError, match=r"cannot tell words apart|tokenizer files cannot be used"):
        load_processor(tmp_path, "text")


def test_a_vocabulary_of_letters_or_of_another_script_is_enough(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    for name, words in (("letters", [*"abcdefghijklmnopqrstuvwxyz", *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")]),
                        ("cyrillic", ["и", "в", "не", "на", "что", "он", "быть", "как"])):  # fmt: skip
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text('{"model_type": "bert"}')
        (folder / "vocab.txt").write_text("\n".join([*special, *words]) + "\n")
        assert len(load_processor(folder, "text")) == len(special) + len(words)
    (tmp_path / "vocab.txt").write_text("\n".join([*special, "the", "of", "x1"]) + "\n")
    with pytest.raises(InputError, match="it knows 8 tokens"):
        load_processor(tmp_path, "text")


def test_a_tokenizer_of_a_larger_model_is_refused(tmp_path):
    """Its numbers reach beyond the model's table of words, for rare words only."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "и", "в", "не", "на", "что", "он", "быть", "как"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    for size in (13, 12):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert", "vocab_size": size}))
        if size == 13:
            load_processor(tmp_path, "text")
    with pytest.raises(InputError, match="its tokenizer knows 13 tokens, its model 12"):
        load_processor(tmp_path, "text")


CONVERTED = ["config.json", "model.bin", "preprocessor_config.json", "tokenizer.json"]


@pytest.mark.parametrize("vocabulary", ["vocabulary.json", "vocabulary.txt"])
def test_a_ctranslate2_checkpoint_is_taken_without_allowing_a_pickle(vocabulary):
    names = [*CONVERTED, vocabulary, "README.md", ".gitattributes"]
    assert weights.needed(names, "x") == sorted([*CONVERTED, vocabulary])
    assert "model.bin" not in weights.needed([*names, "model.safetensors"], "x")


def test_a_ctranslate2_checkpoint_is_fetched_and_opened(tmp_path):
    """A Whisper as Systran publishes them; one that was cut off, and a pickle of that name, are refused."""
    (tmp_path / "whisper").mkdir()
    converted = convert(make_whisper(tmp_path / "whisper"), tmp_path / "converted")
    manifest = fetch(str(converted), tmp_path / "out")
    assert set(manifest["files"]) == {*CONVERTED, "vocabulary.json"}
    whole = (converted / "model.bin").read_bytes()
    for content in (whole[: len(whole) // 2], FILES["pytorch_model.bin"]):
        (converted / "model.bin").write_bytes(content)
        with pytest.raises(InputError, match=r"model.bin is not what its name says: cannot be opened"):
            fetch(str(converted), tmp_path / "other")
