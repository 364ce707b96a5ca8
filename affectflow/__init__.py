"""The one import for code outside: ``from affectflow import FeatureStore, Extractor, ...``.

Each name is imported when it is first asked for, so that reading a feature store needs no torch.
"""

import importlib

_NAMES = {
    "pipeline.records": ("InputError",),
    "pipeline.store": ("FeatureStore", "Rows"),
    "pipeline.corpora.base": ("Corpus",),
    "pipeline.features.base": ("Extractor", "Options", "options", "Cut", "AudioPiece", "FacePiece", "TextPiece"),
    "pipeline.words.recogniser": ("Recogniser", "RecogniserConfig"),
    "models.fusion.base": ("Fusion",),
    "models.data": ("SegmentDataset", "collate"),
}
MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted(MODULE_OF)


def __getattr__(name: str):
    if name not in MODULE_OF:
        raise AttributeError(f"affectflow has no {name!r}; it has {', '.join(__all__)}")
    found = globals()[name] = getattr(importlib.import_module(MODULE_OF[name]), name)
    return found


def __dir__() -> list[str]:
    return __all__
