from keras_depthseg.datasets.images import *  # noqa: F403  temporary
from keras_depthseg.datasets.images import _check_end, open_picture as _open  # noqa: F401
