from keras_c2f.evaluation.cascade import Calibration as Calibration
from keras_c2f.evaluation.cascade import calibrate as calibrate
from keras_c2f.evaluation.metrics import ExactMetrics as ExactMetrics
from keras_c2f.evaluation.metrics import d_prime as d_prime
from keras_c2f.evaluation.metrics import ranking_scores as ranking_scores
