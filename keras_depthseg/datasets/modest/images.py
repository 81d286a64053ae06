from keras_depthseg.datasets.images import *  # noqa: F403  temporary
from keras_depthseg.datasets.images import _check_end  # noqa: F401
