"""Which extractors there are, by name; :mod:`pipeline.registry` finds them."""

from pipeline.registry import Registry

BUILT_IN = {
    "mfcc": "pipeline.features.mfcc:Mfcc",
    "log_mel": "pipeline.features.log_mel:LogMel",
    "vggish_log_mel": "pipeline.features.log_mel:VggishLogMel",
    "prosody": "pipeline.features.prosody:Prosody",
    "opensmile": "pipeline.features.opensmile_sets:OpenSmile",
    "face_geometry": "pipeline.features.face_geometry:FaceGeometry",
    "onnx_image": "pipeline.features.onnx_image:OnnxImage",
    "static_vectors": "pipeline.features.static_vectors:StaticVectors",
    "transformers_audio": "pipeline.features.transformers_audio:TransformersAudio",
    "transformers_image": "pipeline.features.transformers_image:TransformersImage",
    "transformers_text": "pipeline.features.transformers_text:TransformersText",
}
EXTRACTORS = Registry(
    "extractor",
    "pipeline.features.base:Extractor",
    "affectflow.extractors",
    BUILT_IN,
    required={"modality": ("audio", "video", "text")},
)


def code_of(kind: str) -> str:
    """Digest of the sources that decide an extractor's features: its own, a user's file included, and the driver's."""
    return EXTRACTORS.code_of(kind, "pipeline.features.command:features")
