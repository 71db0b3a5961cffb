from keras_c2f.audio.audio_file import AudioError as AudioError
from keras_c2f.audio.corruption import Corruption as Corruption
from keras_c2f.audio.decode import load_audio as load_audio
