"""Command lines about checkpoints: fetch one, verify one, list what a configuration needs and what is there."""

from collections.abc import Iterator
from pathlib import Path

import click

from pipeline.records import InputError
from pipeline.weights import needed, parse, read_manifest, slug, verify


@click.group()
def weights():
    """Fetch, list and verify checkpoints of extractors."""


@weights.command("fetch")
@click.argument("source")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to put the checkpoint into.")
@click.option("--allow-pickle", is_flag=True, help="Accept pickled weights where there are no safetensors.")
@click.option("--lock", type=click.Path(path_type=Path), help="File of digests to check against and to add to.")
def fetch_command(source, out, allow_pickle, lock):
    """Bring the checkpoint SOURCE to a folder and record the digest of every file."""
    from pipeline.features.fetch import fetch

    fetch(source, out, allow_pickle, lock)


@weights.command("verify")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def verify_command(folders):
    """Check every file of checkpoint folders against its digest."""
    for folder in folders:
        known = verify(folder)
        click.echo(f"{folder}: {len(known['sha256'])} files as fetched from {known['source']}")


@weights.command("list")
@click.option(
    "--config-json", "config", required=True, type=click.Path(path_type=Path), help="A configuration, JSON or YAML."
)
@click.option(
    "--weights", "folder", default="results/weights", type=click.Path(path_type=Path), help="Where checkpoints are."
)
@click.option("--offline", is_flag=True, help="Do not ask the hub for sizes.")
def list_command(config, folder, offline):
    """Say which checkpoints a configuration needs, for which extractors, how large they are and which are there."""
    rows = [(text, where, *_status(text, folder, offline)) for text, where in sorted(needs(config).items())]
    if not rows:
        click.echo(f"{config}: no extractor needs weights")
        return
    for text, where, status, size in rows:
        click.echo(f"{text}\n    for {', '.join(where)}\n    {status}{f', {_megabytes(size)}' if size else ''}")
    known = [size for *_, size in rows if size]
    click.echo(f"{len(rows)} checkpoints, {_megabytes(sum(known))}" + (" and more" if len(known) < len(rows) else ""))


def needs(config: Path) -> dict[str, list[str]]:
    """``{source: [where it is asked for]}``: every ``weights:`` entry of a configuration."""
    import yaml

    try:
        table = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{config}: cannot be read as YAML or JSON ({error})") from None
    found: dict[str, list[str]] = {}
    for where, text in _walk(table, ()):
        found.setdefault(text, []).append(where)
    return found


def _walk(node, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "weights" and isinstance(value, str):
            yield ".".join(path), value
        else:
            yield from _walk(value, (*path, str(key)))


def _status(text: str, weights_folder: Path, offline: bool) -> tuple[str, int | None]:
    """What there is of a checkpoint, in words, and its size in bytes where that is known."""
    try:
        source, folder = parse(text), weights_folder / slug(text)
    except InputError as error:
        return f"CANNOT BE USED: {error}", None
    manifest = read_manifest(folder)
    if manifest is not None:
        wrong = [
            name
            for name, each in manifest["files"].items()
            if not (folder / name).is_file() or (folder / name).stat().st_size != each["bytes"]
        ]
        size = sum(each["bytes"] for each in manifest["files"].values())
        if wrong:
            return f"DAMAGED in {folder} ({', '.join(wrong)}): delete the folder", size
        return f"there, in {folder}", size
    if source.kind == "demo":
        return "not there; the workflow makes it", None
    if source.kind == "path":
        return ("not copied yet" if Path(source.location).exists() else "MISSING: no such file or folder"), None
    if offline or source.kind == "url":
        return "not there; the workflow fetches it", None
    from pipeline.features.fetch import hub_files

    try:
        files = hub_files(source)
        size = sum(files[name]["bytes"] or 0 for name in needed(list(files), text, allow_pickle=True))
    except InputError as error:
        return f"not there, and {error}", None
    return "not there; the workflow fetches it", size


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
