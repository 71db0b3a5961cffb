from keras_c2f.training.recipe import Recipe as Recipe
from keras_c2f.training.run import Run as Run
from keras_c2f.training.trained_run import TrainedRun as TrainedRun
from keras_c2f.training.trained_run import read_trained_run as read_trained_run
