from keras_c2f.audio.walk import find_audio as find_audio
from keras_c2f.inference.classifier import Classifier as Classifier
from keras_c2f.inference.classifier import Embedder as Embedder
from keras_c2f.inference.classifier import load_classifier as load_classifier
from keras_c2f.inference.classifier import load_embedder as load_embedder
from keras_c2f.inference.stream import Stream as Stream
from keras_c2f.inference.stream import Window as Window
