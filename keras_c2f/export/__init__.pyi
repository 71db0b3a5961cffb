from keras_c2f.export.classifier import export_classifier as export_classifier
from keras_c2f.export.comparison import recommended as recommended
from keras_c2f.export.formats import FORMATS as FORMATS
from keras_c2f.export.formats import VARIANTS as VARIANTS
from keras_c2f.export.formats import Format as Format
from keras_c2f.export.run import NotNotedError as NotNotedError
from keras_c2f.export.run import export_run as export_run
from keras_c2f.phases.transplant import at_resolution as at_resolution
