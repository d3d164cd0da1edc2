import re

from snncompress_report.raster import raster


def path(lines):
    return re.search(r' d="([^"]*)"', raster(lines))[1]


def test_spikes_that_follow_each_other_are_one_rectangle():
    assert path(["0110", "0000", "1001"]) == "M1 0h2v1h-2zM0 2h1v1h-1zM3 2h1v1h-1z"


def test_the_picture_is_as_wide_as_time_and_as_high_as_there_are_neurons():
    assert 'viewBox="0 0 4 3"' in raster(["0110", "0000", "1001"])


def test_silence_is_an_empty_picture():
    assert path(["00"]) == ""
    assert path([]) == ""
