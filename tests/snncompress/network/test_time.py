import pytest

from snncompress import ModelError, Time


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"runner": "per_stp"}, "runner 'per_stp' is unknown; did you mean 'per_step'"),
        ({"output": "mean"}, "output 'mean' is unknown; known: averaged, per_step"),
        ({"input": "sequenc"}, "input 'sequenc' is unknown; did you mean 'sequence'"),
        ({"T": 0}, "T must be a whole number of at least 1, not 0"),
        ({"T": 2.5}, "T must be a whole number of at least 1, not 2.5"),
        ({"T": True}, "T must be a whole number of at least 1, not True"),
        ({"records": ("output", "spikes")}, "records must name 'output' and perhaps 'membranes'"),
        ({"records": ()}, "records must name 'output'"),
    ],
    ids=str,
)
def test_a_wrong_declaration_is_told(wrong, message):
    with pytest.raises(ModelError, match=message):
        Time(**{"runner": "per_step", "T": 4, **wrong})


def test_a_declaration_survives_json():
    time = Time("inside", 6, input="static", records=("output", "membranes"), attribute="num_steps")
    assert Time.from_json(time.to_json()) == time
