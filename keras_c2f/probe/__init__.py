"""How coarse time may become on a data set, before any training."""

from keras_c2f.probe.probing import probe
from keras_c2f.probe.report import FactorScore, ProbeReport
from keras_c2f.probe.simple_classifier import score_simple_classifier

__all__ = ["FactorScore", "ProbeReport", "probe", "score_simple_classifier"]
