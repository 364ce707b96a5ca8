"""Baselines without attention: early concatenation and late fusion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from models.fusion.base import Fusion

if TYPE_CHECKING:
    from models.attention import Stream


class Concatenation(Fusion):
    """The encoded streams as they are, so that only their combination after pooling is fusion."""

    title = "early concatenation"

    def fuse(self, layers, streams: dict[str, Stream]) -> list[list[Stream]]:
        """Pass the streams on: one group."""
        return [list(streams.values())]

    def sentence(self) -> str:
        """Say that there is no attention."""
        return "The encoded modalities are put side by side, without attention."


class Late(Concatenation):
    """A network for each modality, and the mean over those that observed anything."""

    title = "late fusion"
    apart = True

    def problems(self, options) -> Iterator[str]:
        """Say that there is nothing to pool."""
        if options.combine != "concatenation":
            yield "each modality decides for itself and there is nothing to pool; leave 'combine' out"

    def sentence(self) -> str:
        """Say what is averaged."""
        return "Each modality has a network of its own, trained together on the loss of their mean prediction."
