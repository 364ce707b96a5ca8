"""One's own settings, a small file laid over config.yaml: what they may take out, and what is wrong with them.

Snakemake merges the files key by key (``--configfile mine.yaml``); a list, or any other value, replaces that below it.
An entry of a table whose keys are names (an extractor, a corpus) is taken out by ``null``.
"""

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path

import yaml

from pipeline.names import close_to
from pipeline.records import InputError

Layers = Sequence[tuple[str, dict]]
"""What files of settings say, each under its name, and laid over those before it."""

# Tables whose keys are names; * is any name.
NAMED = [("models",), ("corpora",), ("defaults", "*", "extractors")]
OF_CORPORA = [("corpora", "*", table) for table in ("extractors", "inputs", "merge")]  # over the defaults first
RUNS = [(where, "*", "runs") for where in ("defaults", "corpora")]  # there null is a value: it takes contrasts out, too


def patch(base: dict, changes: dict) -> dict:
    """A copy of ``base`` in which the leaves of ``changes`` replace or add values."""
    out = deepcopy(base)
    for key, value in changes.items():
        out[key] = patch(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def take_out(config: dict) -> dict:
    """A copy of a configuration without the named entries that are null, nor what ``demo`` changes of them."""
    out = deepcopy(config)
    for pattern in NAMED:
        for path, table in list(_tables(out, pattern)):
            for name in [name for name, entry in table.items() if entry is None]:
                del table[name]
                _find(out.get("demo"), path).pop(name, None)
    return out


def read(path: Path | str) -> dict:
    """What a file of settings says; raises InputError where it is none, or a key stands in one table twice."""
    try:
        found = yaml.load(Path(path).read_text(encoding="utf-8"), _Once) or {}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read as settings ({reason})") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: cannot be read as settings (it holds no keys with values)")
    return found


def read_layers(files: Iterable[Path | str]) -> list[tuple[str, dict]]:
    """What each file of settings says, the base first; raises InputError for what those that are laid over it may not.

    Which is a key that stands in one table twice, a null that takes out what is neither in the files before it nor in
    a default, and a null in place of a table that these have.
    """
    base, *overlays = map(str, files)
    layers = [(base, read(base))]
    known = layers[0][1]
    for file in overlays:
        own = read(file)
        for key, problem in (*_takes_out_nothing(own, known), *_emptied(own, known)):
            raise InputError(f"{file}: {'.'.join(map(str, key))}: {problem}")
        known = patch(known, own)
        layers.append((file, own))
    return layers


def _takes_out_nothing(own: dict, known: dict) -> Iterator[tuple[tuple, str]]:
    """Yield the key of each null that takes out an entry that is not there, and what is."""
    for pattern in NAMED + OF_CORPORA:
        places = [pattern, ("defaults", *pattern[1:])] if pattern in OF_CORPORA else [pattern]
        there = sorted({str(name) for place in places for _, table in _tables(known, place) for name in table})
        for where, table in _tables(own, pattern):
            for name in [name for name, entry in table.items() if entry is None and str(name) not in there]:
                none = f"null takes an entry out, and there is none of this name{close_to(str(name), there)}"
                yield (*where, name), f"{none}. There are {', '.join(there)}"


def _emptied(own: dict, known: dict, path: tuple = ()) -> Iterator[tuple[tuple, str]]:
    """Yield the key of each null that stands where a table lies below, or in a default, and is no entry taken out."""
    for name, value in own.items():
        key = (*path, name)
        if isinstance(value, dict):
            yield from _emptied(value, known, key)
        plain = key[1:] if key[0] == "demo" else key
        if value is None and not any(_fits(plain, (*table, "*")) for table in NAMED + OF_CORPORA + RUNS):
            places = [key, plain, ("defaults", "*", *plain[2:])] if plain[:1] == ("corpora",) else [key, plain]
            if any(found for place in places for found in _tables(known, place)):
                yield key, "nothing stands under it; remove the line, or give entries"


def overruled(own: dict, demo: dict, path: tuple = ()) -> Iterator[str]:
    """Yield the user's keys that have no effect at demo scale because ``demo`` sets them."""
    for key in own.keys() & demo.keys():
        if isinstance(own[key], dict) and isinstance(demo[key], dict):
            yield from overruled(own[key], demo[key], (*path, key))
        elif own[key] != demo[key]:
            yield ".".join(map(str, (*path, key)))


def _tables(config: dict, pattern: tuple[str, ...], path: tuple = ()) -> Iterator[tuple[tuple, dict]]:
    """Every table of a configuration at a place such as corpora.*.extractors, with its path."""
    if not isinstance(config, dict):
        return
    if not pattern:
        yield path, config
        return
    for name in config if pattern[0] == "*" else [pattern[0]]:
        yield from _tables(config.get(name), pattern[1:], (*path, name))


def _fits(path: tuple, pattern: tuple) -> bool:
    """Whether a path is one of those that a pattern with * stands for."""
    return len(path) == len(pattern) and all(other in ("*", part) for part, other in zip(path, pattern))


def _find(config, path: tuple) -> dict:
    """The table at a path; an empty one where there is none."""
    for name in path:
        config = config.get(name) if isinstance(config, dict) else None
    return config if isinstance(config, dict) else {}


class _Once(yaml.SafeLoader):
    """YAML in which a key may stand once; PyYAML would take the last one in silence."""

    def compose_mapping_node(self, anchor):
        node, seen = super().compose_mapping_node(anchor), dict[str, int]()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"):
            line = key.start_mark.line + 1
            if key.value in seen:
                raise InputError(
                    f"{key.value!r} stands in line {line} and in line {seen[key.value]} of one table; keep one of them"
                )
            seen[key.value] = line
        return node
