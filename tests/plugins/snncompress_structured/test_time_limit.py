import sys
import threading

import pytest

from snncompress_structured.time_limit import time_limit


def stall():
    while True:
        len("")


def test_a_stall_is_interrupted_and_the_profiler_put_back():
    with pytest.raises(TimeoutError), time_limit(0.05):
        stall()
    assert sys.getprofile() is None


def test_what_is_fast_enough_goes_on():
    with time_limit(60):
        assert sum(range(10)) == 45
    assert sys.getprofile() is None


def test_it_works_outside_the_main_thread():
    seen = []

    def work():
        try:
            with time_limit(0.05):
                stall()
        except TimeoutError:
            seen.append("interrupted")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert seen == ["interrupted"]
