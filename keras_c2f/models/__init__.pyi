from keras_c2f.models.adapters import merge_adapters as merge_adapters
from keras_c2f.models.ast_model import AST as AST
from keras_c2f.models.backbones import backbone_from_size as backbone_from_size
from keras_c2f.models.backbones import preset_frontend as preset_frontend
from keras_c2f.models.backbones import preset_patch as preset_patch
from keras_c2f.models.classifier import AudioClassifier as AudioClassifier
from keras_c2f.models.encoder import remat_scope as remat_scope
from keras_c2f.models.hts_at import HTSAT as HTSAT
from keras_c2f.models.kwt_model import KWT as KWT
from keras_c2f.models.masked_patch_loss import (
    MaskedPatchLoss as MaskedPatchLoss,
)
from keras_c2f.models.masked_patch_loss import (
    masked_patch_metrics as masked_patch_metrics,
)
from keras_c2f.models.masked_patches import MaskedPatchModel as MaskedPatchModel
from keras_c2f.models.waveform_classifier import of_compressed as of_compressed
from keras_c2f.models.waveform_classifier import (
    waveform_classifier as waveform_classifier,
)
from keras_c2f.models.waveform_features import (
    waveform_features as waveform_features,
)
from keras_c2f.models.whisper_model import WhisperEncoder as WhisperEncoder
