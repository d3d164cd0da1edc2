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
        ({"population": 0}, "population must be a whole number of at least 1, not 0"),
        ({"population": 2.0}, "population must be a whole number of at least 1, not 2.0"),
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


def test_a_population_survives_json_and_a_single_output_for_each_class_is_written_as_before():
    single, several = Time("per_step", 4), Time("per_step", 4, population=10)
    assert Time.from_json(several.to_json()) == several
    assert "population" not in single.to_json()
    assert Time.from_json(single.to_json()).population == 1
