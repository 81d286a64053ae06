"""Targets that hold a fault each, and one that holds none."""

import os
import time

from fuzzing.target import Target, WrongContentError, check_line
from keras_depthseg.errors import UserError


class _Planted(Target):
    def prepare(self):
        (self.folder / "whole.txt").write_text("whole")

    def load(self):
        self.whole = (self.folder / "whole.txt").read_text()

    def damage(self, rng):
        (self.case / "damaged.txt").write_text(str(rng.random()))


class Sound(_Planted):
    name = "sound"
    items = 5

    def read(self):
        if (self.case / "damaged.txt").read_text() < "0.5":
            raise UserError("damaged.txt: received less; expected more. Write more.")


class Traceback(_Planted):
    name = "traceback"

    def read(self):
        raise LookupError("nobody has thought of it")


class SeveralLines(_Planted):
    name = "several_lines"

    def read(self):
        check_line("one\ntwo")


class Content(_Planted):
    name = "content"

    def read(self):
        raise WrongContentError("other pixels")


class Exits(_Planted):
    name = "exits"

    def read(self):
        raise SystemExit(0)


class Crash(_Planted):
    name = "crash"

    def read(self):
        os.abort()


class Hang(_Planted):
    name = "hang"

    def read(self):
        time.sleep(600)
