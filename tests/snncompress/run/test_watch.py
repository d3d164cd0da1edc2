import io
import time

import pytest

from snncompress.run.watch import Watch, spoken


class Clock:
    """Time that passes when told to."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


def test_the_time_left_follows_the_pace_so_far(clock):
    watch = Watch(stream := io.StringIO())
    watch.step(0, 2, "train", "not done yet")
    watch.expect(4)
    assert watch.time_left() is None
    clock.now += 10
    watch.epoch("train", 1, 4, "loss 1")
    assert watch.time_left() == 30
    clock.now += 20
    watch.epoch("train", 2, 4, "loss 0.5")
    assert watch.time_left() == 30  # 15 s an epoch, two to go
    assert stream.getvalue().splitlines() == [
        "step 1 of 2: train: not done yet",
        "  train: epoch 1 of 4: loss 1 [1/4, 30 s left]",
        "  train: epoch 2 of 4: loss 0.5 [2/4, 30 s left]",
    ]


def test_epochs_done_before_an_interruption_do_not_count_for_the_pace(clock):
    watch = Watch(io.StringIO())
    watch.step(0, 1, "prune.lottery", "")
    watch.expect(10)
    watch.skip(4)
    watch.resumed(2)
    clock.now += 5
    watch.epoch("round 3", 3, 4, "")
    assert watch.num_done == 7
    assert watch.time_left() == 15  # three to go at 5 s


def test_a_new_step_starts_afresh(clock):
    watch = Watch(io.StringIO())
    watch.step(0, 2, "train", "")
    watch.expect(2)
    clock.now += 60
    watch.epoch("train", 1, 2, "")
    watch.step(1, 2, "train", "")
    assert watch.time_left() is None
    watch.expect(3)
    clock.now += 1
    watch.epoch("train", 1, 3, "")
    assert watch.time_left() == 2


def test_without_a_known_length_no_time_is_promised(clock):
    watch = Watch(stream := io.StringIO())
    clock.now += 1
    watch.epoch("train", 1, 4, "loss 1")
    assert stream.getvalue() == "  train: epoch 1 of 4: loss 1\n"


def test_a_silent_watch_writes_nothing_and_still_counts():
    watch = Watch(stream := io.StringIO(), silent=True)
    watch.step(0, 1, "train", "")
    watch.expect(2)
    watch.epoch("train", 1, 2, "")
    watch.line("something")
    assert (stream.getvalue(), watch.num_done) == ("", 1)


def test_a_long_epoch_says_how_far_it_is_where_nothing_was_said_for_long(clock):
    watch = Watch(stream := io.StringIO())
    watch.step(0, 1, "train", "not done yet")
    watch.expect(2)
    clock.now += 500  # data are read and kernels compiled
    watch.begin_epoch()
    for number in range(1, 11):
        clock.now += 20
        watch.batch("train", 1, 2, number, 10)
    watch.epoch("train", 1, 2, "loss 1")
    assert stream.getvalue().splitlines()[1:] == [
        "  train: epoch 1 of 2: batch 2 of 10 [0/2, 6 min left]",  # 40 s for a fifth: 360 s for the rest of two epochs
        "  train: epoch 1 of 2: batch 4 of 10 [0/2, 5 min left]",
        "  train: epoch 1 of 2: batch 6 of 10 [0/2, 5 min left]",
        "  train: epoch 1 of 2: batch 8 of 10 [0/2, 4 min left]",
        "  train: epoch 1 of 2: batch 10 of 10 [0/2, 3 min left]",
        "  train: epoch 1 of 2: loss 1 [1/2, 3 min left]",
    ]


def test_short_epochs_say_nothing_within(clock):
    watch = Watch(stream := io.StringIO())
    watch.expect(2)
    for number in range(1, 11):
        clock.now += 2.9
        watch.batch("train", 1, 2, number, 10)
    assert stream.getvalue() == ""


def test_a_measurement_says_what_is_measured_and_on_what(clock):
    watch = Watch(stream := io.StringIO())
    watch.measuring(["accuracy", "synops"], 10_000)
    for done in range(1000, 11_000, 1000):
        clock.now += 10
        watch.measured(done, 10_000)
    watch.measuring(["parameters"], None)
    assert stream.getvalue().splitlines() == [
        "  measuring accuracy, synops on 10,000 test samples",
        "  measuring: 3,000 of 10,000 test samples",
        "  measuring: 6,000 of 10,000 test samples",
        "  measuring: 9,000 of 10,000 test samples",
        "  measuring parameters",
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_sees_a_bar_that_goes_away(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    watch = Watch(stream := Terminal())
    watch.step(0, 1, "train", "not done yet")
    watch.expect(2)
    watch.epoch("train", 1, 2, "loss 1")
    watch.line("a [note]")
    watch.close()
    assert "1/2" in stream.getvalue()
    assert "a [note]" in stream.getvalue()
    watch.epoch("train", 2, 2, "loss 0")
    assert stream.getvalue().endswith("left]\n")


def test_a_terminal_sees_the_bar_move_within_an_epoch_and_a_measurement(monkeypatch, clock):
    monkeypatch.setenv("TERM", "xterm")
    watch = Watch(stream := Terminal())
    watch.expect(2)
    watch.epoch("train", 1, 2, "loss 1")
    watch.batch("train", 2, 2, 1, 4)
    watch._bar.refresh()
    assert "loss 1; train: epoch 2, 25%" in stream.getvalue()
    watch.measuring(["accuracy"], 400)
    watch.measured(100, 400)
    watch._bar.refresh()
    assert "100/400" in stream.getvalue()
    assert "measuring accuracy on 400 test samples" in stream.getvalue()
    watch.close()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (44.6, "45 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (3569, "59 min"),
        (3590, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_durations_are_spoken(seconds, text):
    assert spoken(seconds) == text
