"""The one import for code outside: ``from affectflow import FeatureStore, Extractor, ...``.

Each name is imported when it is first asked for, so that reading a feature store needs no torch.
"""

import importlib

NAMES = {
    "Annotation": "pipeline.corpora.base:Annotation",
    "AudioPiece": "pipeline.features.piece:AudioPiece",
    "Corpus": "pipeline.corpora.base:Corpus",
    "Cut": "pipeline.features.base:Cut",
    "Extractor": "pipeline.features.base:Extractor",
    "FacePiece": "pipeline.features.piece:FacePiece",
    "FeatureStore": "pipeline.store:FeatureStore",
    "Finding": "pipeline.records:Finding",
    "Fusion": "models.fusion.base:Fusion",
    "Index": "pipeline.corpora.base:Index",
    "InputError": "pipeline.records:InputError",
    "Label": "pipeline.records:Label",
    "MaskedAttention": "models.attention:MaskedAttention",
    "Options": "pipeline.features.base:Options",
    "PieceOptions": "pipeline.words.pieces:PieceOptions",
    "PieceRecogniser": "pipeline.words.pieces:PieceRecogniser",
    "Recogniser": "pipeline.words.base:Recogniser",
    "Rows": "pipeline.store:Rows",
    "Segment": "pipeline.records:Segment",
    "SegmentDataset": "models.data:SegmentDataset",
    "Stream": "models.attention:Stream",
    "TextPiece": "pipeline.features.piece:TextPiece",
    "TransformerBlock": "models.attention:TransformerBlock",
    "Unit": "pipeline.records:Unit",
    "collate": "models.data:collate",
    "load_model": "models.apply.predict:load_model",
    "observed": "models.attention:observed",
    "options": "pipeline.registry:options",
    "safe_id": "pipeline.names:safe_id",
}
__all__ = list(NAMES)


def __getattr__(name: str):
    if name not in NAMES:
        raise AttributeError(f"affectflow has no {name!r}; it has {', '.join(NAMES)}")
    module, _, attribute = NAMES[name].partition(":")
    found = globals()[name] = getattr(importlib.import_module(module), attribute)
    return found


def __dir__() -> list[str]:
    return list(NAMES)
