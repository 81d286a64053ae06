"""Items are read ahead and written behind, in order, and errors arrive."""

import threading

import pytest

from keras_depthseg.inference.overlap import Stages, read_ahead, write_behind


def test_order_and_shares():
    stages, written = Stages(), []
    with write_behind(stages) as write:
        for item in read_ahead(range(20), stages):
            with stages.timed("predicting"):
                write(written.append, item)
    assert written == list(range(20))
    assert all(busy > 0 for busy in stages.busy.values())
    line = stages.summary(20, "frame")
    assert line.startswith("20 frames in ")
    assert "reading" in line and "writing" in line


def test_next_item_is_read_while_one_is_worked_on():
    second_is_read = threading.Event()

    def items():
        yield 1
        second_is_read.set()
        yield 2

    for _ in read_ahead(items(), Stages()):
        # Would wait for ever if it were read only when it is asked for.
        assert second_is_read.wait(10)


def test_at_most_two_wait_to_be_written():
    open_gate, started = threading.Event(), []
    most = []

    def work(number):
        started.append(number)
        open_gate.wait(10)

    with write_behind(Stages()) as write:
        write(work, 0)
        write(work, 1)
        timer = threading.Timer(0.2, lambda: (most.append(len(started)), open_gate.set()))
        timer.start()
        write(work, 2)  # Waits for the first.
        assert open_gate.is_set()
    assert most == [1]
    assert started == [0, 1, 2]


def test_errors_of_both_threads():
    def broken():
        yield 1
        raise KeyError("reading")

    with pytest.raises(KeyError, match="reading"):
        list(read_ahead(broken(), Stages()))

    def fail():
        raise ValueError("writing")

    with pytest.raises(ValueError, match="writing"), write_behind(Stages()) as write:
        write(fail)


def test_nothing_more_is_written_after_an_error():
    written = []
    gate = threading.Event()
    with pytest.raises(KeyError), write_behind(Stages()) as write:
        write(gate.wait, 10)
        write(written.append, 1)
        gate.set()
        raise KeyError("predicting")
    assert written in ([], [1])
