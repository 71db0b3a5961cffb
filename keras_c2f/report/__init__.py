"""`report.html`: one page about the runs of one experiment."""

from keras_c2f.report.page import write_report

__all__ = ["write_report"]
