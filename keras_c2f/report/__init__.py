"""HTML pages: `report.html` about runs, `data.html` about training data."""

from keras_c2f.report.data_page import write_data_page
from keras_c2f.report.page import write_report

__all__ = ["write_data_page", "write_report"]
