from keras_c2f.data.augment import Augment as Augment
from keras_c2f.data.clips import Clips as Clips
from keras_c2f.data.labels import LabelSets as LabelSets
from keras_c2f.data.moments import feature_moments as feature_moments
from keras_c2f.data.pipeline import AudioPipeline as AudioPipeline
from keras_c2f.data.prepare import prepare as prepare
from keras_c2f.data.prepared import read_prepared as read_prepared
