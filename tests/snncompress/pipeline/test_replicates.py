import pytest

from snncompress import PipelineError
from snncompress.pipeline import load_pipeline, pipeline_from
from snncompress.pipeline.replicates import replicates

TEXT = """\
version: 1
name: digits
model: net
data: digits
seeds: [2, 0]  # a comment
steps: [{use: train, epochs: 2}]
measure: [accuracy]
"""


@pytest.fixture
def read(host, tmp_path, monkeypatch):
    """Return a function that reads the pipeline with some text replaced, and ``--set``."""
    monkeypatch.chdir(tmp_path)

    def load(old="", new="", *overrides):
        (tmp_path / "p.yaml").write_text(TEXT.replace(old, new) if old else TEXT)
        return load_pipeline("p.yaml", host, overrides=overrides)

    return load


def test_seeds_become_one_pipeline_each_in_their_order(read, host, tmp_path):
    found = replicates(read())
    assert [(one.pipeline.seed, one.pipeline.seeds) for one in found] == [(2, None), (0, None)]
    for one in found:
        (tmp_path / "again.yaml").write_text(one.text)
        assert load_pipeline("again.yaml", host).pipeline.canonical() == one.pipeline.canonical()


def test_a_pipeline_with_one_seed_is_itself(read):
    source = read("seeds: [2, 0]", "seed: 4")
    assert replicates(source) == (source,)


@pytest.mark.parametrize(
    ("new", "line"),
    [
        ("seed: 1\nseeds: [0, 1]", "p.yaml:6:1: seeds: given together with 'seed'; keep one of them"),
        ("seeds: []", "p.yaml:5:1: seeds: should hold at least one entry, not 0"),
        ("seeds: [1, 0, 1]", "p.yaml:5:1: seeds: names 1 twice"),
        ("seeds: [0, -1]", "p.yaml:5:12: seeds.1: should be at least 0, not -1"),
        ("seeds: [0, true]", "p.yaml:5:12: seeds.1: should be a whole number, not true"),
        ("seeds: 3", "p.yaml:5:1: seeds: should be a list, not 3; write [3]"),
    ],
)
def test_wrong_seeds_are_told_where_they_stand(read, new, line):
    with pytest.raises(PipelineError) as caught:
        read("seeds: [2, 0]", new)
    assert caught.value.lines == (line,)


def test_seeds_on_the_command_line_take_the_place_of_the_seed_in_the_file(read):
    assert read("seeds: [2, 0]", "seed: 4", "seeds=[0, 1]").pipeline.seeds == (0, 1)
    single = read("", "", "seed=7").pipeline
    assert (single.seed, single.seeds) == (7, None)
    assert read("seeds: [2, 0]", "seed: 4", "seeds=null").pipeline.seed == 4


def test_seed_and_seeds_both_on_the_command_line_contradict_each_other(read):
    with pytest.raises(
        PipelineError, match="^--set seeds=\\[1\\]: seeds: given together with 'seed'; keep one of them$"
    ):
        read("", "", "seed=7", "seeds=[1]")


def test_plain_data_takes_overrides_too(host):
    data = {
        "version": 1,
        "name": "a",
        "model": "net",
        "data": "digits",
        "steps": [{"use": "train", "epochs": 1}],
    }
    assert pipeline_from(data, host, overrides=["seeds=[3]"]).pipeline.seeds == (3,)


@pytest.mark.parametrize(("new", "shown"), [("seeds: [2, 0]", "seeds"), ("seed: 4", "seed"), ("", "seed")])
def test_a_pipeline_with_all_defaults_filled_in_is_a_pipeline(read, host, new, shown):
    found = read("seeds: [2, 0]", new).pipeline.canonical()
    assert {"seed", "seeds"} & set(found) == {shown}
    assert pipeline_from(found, host).pipeline.canonical() == found
