"""What the workflow says of a configuration as it starts: what of it comes to nothing."""

from collections.abc import Collection, Iterator
from pathlib import Path

from workflow.corpora import Corpora
from workflow.modalities import lacking
from workflow.overlay import overruled, take_out

Remark = tuple[str, str]
"""How loud it is said, ``info`` or ``warning``, and what."""


def remarks(corpora: Corpora, asked: Collection[str], own: dict, config: dict) -> Iterator[Remark]:
    """Yield what to say of one's ``own`` settings within ``config``, of corpora and of their features.

    Of settings, where a corpus that is ``asked`` for (none: all that are active) is a demonstration.
    """
    if any(corpora[name].settings.demonstration for name in asked or corpora.active if name in corpora):
        for key in sorted(overruled(own, take_out(config).get("demo") or {})):
            yield "warning", f"your {key} has no effect at scale demo, where demo.{key} overrides it"
    for name, reason in corpora.unreadable.items():
        yield "warning", f"corpus {name} is left out: {reason}"
    for name, corpus in corpora.items():
        if name in corpora.active and corpus.options.unread:
            yield "info", f"{name}: features that no run reads: {', '.join(corpus.options.unread)}"
        for problem in lacking(corpus.options, corpus.settings.index):
            yield "warning", f"corpora.{name}.runs: {problem}"
        for path in sorted(Path(corpus.results, "features").glob("[!.]*.h5")):
            if path.stem not in corpus.options.extractors:
                yield "warning", f"{path} is read by no run, nor named by corpora.{name}: it is left as it is"
