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
