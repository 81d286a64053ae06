"""Mistakes of the user, as opposed to bugs."""

from keras_depthseg.text import printable


class UserError(Exception):
    """Something the user can put right; command lines print it and exit with 2.

    The message is one line: what was wrong, what was received, what is accepted, and
    the remedy. It names the file or the argument. Characters that do not print, as in the
    names of files, are escaped.
    """

    def __init__(self, message: str):
        super().__init__(printable(message))
