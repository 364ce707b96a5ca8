"""The one import for code outside: ``from affectflow import FeatureStore, Extractor, ...``.

Each name is imported when it is first asked for, so that reading a feature store needs no torch.
"""

import importlib

_PLACES = {
    "pipeline.records": ("InputError",),
    "pipeline.store": ("FeatureStore", "Rows"),
    "pipeline.corpora.base": ("Corpus",),
    "pipeline.features.base": ("Extractor", "Options", "options", "Cut", "AudioPiece", "FacePiece", "TextPiece"),
    "pipeline.words.recogniser": ("Recogniser", "RecogniserConfig"),
    "models.fusion.base": ("Fusion",),
    "models.attention": ("Stream", "observed", "MaskedAttention", "TransformerBlock"),
    "models.data": ("SegmentDataset", "collate"),
}
_PLACE = {name: module for module, names in _PLACES.items() for name in names}
__all__ = sorted(_PLACE)


def __getattr__(name: str):
    if name not in _PLACE:
        raise AttributeError(f"affectflow has no {name!r}; it has {', '.join(__all__)}")
    found = globals()[name] = getattr(importlib.import_module(_PLACE[name]), name)
    return found


def __dir__() -> list[str]:
    return __all__
