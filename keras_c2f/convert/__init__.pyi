from keras_c2f.convert.conversion import load_checkpoint as load_checkpoint
from keras_c2f.convert.preset import load_preset as load_preset
from keras_c2f.convert.pretrained import CARD as CARD
from keras_c2f.convert.pretrained import Pretrained as Pretrained
from keras_c2f.convert.published import PUBLISHED as PUBLISHED
from keras_c2f.convert.sources import SOURCES as SOURCES
