# ruff: noqa: RUF001 - the reports write factors with a multiplication sign
import io

import pytest
from rich.console import Console

from snncompress import Measurement, Record
from snncompress_report.text import Text


def measured(**values):
    return {name: Measurement(value=value, unit="1", how="by hand") for name, value in values.items()}


def test_the_whole_report(record):
    assert Text().render(record).splitlines() == [
        "tiny: 2 step(s), 64 s of work; artifact: runs/tiny/final",
        "",
        "step  use       seconds  reused",
        "----  --------  -------  ------",
        "1     train     61.3     yes",
        "2     prune.l1  3.0      no",
        "",
        "1 of 2 budget(s) missed: accuracy is 0.8750, limit drop_at_most 0.01.",
        "",
        "budget    limit              value   met",
        "--------  -----------------  ------  ---",
        "accuracy  drop_at_most 0.01  0.8750  NO",
        "sparsity  at_least 0.7       0.7700  yes",
        "",
        "The baseline is the network before the first step that compresses, or before the first step if none does.",
        "",
        "value               baseline  final   change   unit",
        "------------------  --------  ------  -------  --------------------------",
        "accuracy            0.9375    0.8750  -0.0625  1",
        "parameters          400       400     same     parameters",
        "parameters_nonzero  400       130     ×0.325   parameters",
        "sparsity            0         0.7714  +0.7714  1",
        "bytes               1,800     1,620   ×0.9     bytes",
        "synops              600       60      ×0.1     operations",
        "firing_rate         0.2625    0.1375  ×0.524   spikes per neuron and step",
        "energy              0.002     0.001   ×0.5     mJ",
        "latency_ratio       1.0000    1.0000  same     1",
        "",
        "size                                            baseline  final   final / baseline",
        "----------------------------------------------  --------  ------  ----------------",
        "nominal: parameters that are not zero           400       130     ×0.325",
        "physical: parameters stored and multiplied      400       400     ×1",
        "physical: bytes on disk                         1,800     1,620   ×0.9",
        "measured: time of a forward pass, baseline = 1  1.0000    1.0000  ×1",
        "",
        "A masked network is smaller on disk and sparser; on a CPU or GPU it runs no faster.",
        "",
        "Here 67.5 % of the stored parameters are zero, and none of the baseline's was cut out.",
        "",
        "The models disagree on the energy of the final network: plain says less; other says more.",
        "",
        "model, mJ per sample  baseline  final  final / baseline",
        "--------------------  --------  -----  ----------------",
        "plain                 0.002     0.001  ×0.5",
        "other                 0.004     0.005  ×1.25",
        "",
        "An energy is a convention applied to counted operations; nothing was measured with a meter.",
        "",
        "The activity collapses first in 'block.lif': its firing rate falls from 25.0 % to 0 %.",
        "",
        "18 of 40 neurons (45.0 %) never fire on the test split; 2 (5.0 %) fire at every step of every sample.",
        "",
        "31.0 % of the dense operations have inputs that are no spikes.",
    ]


def test_what_was_not_measured_is_named_once(change):
    text = Text().render(change(baseline={}, final=measured(accuracy=0.5), budget=()))
    last = text.splitlines()[-1]
    assert last == "Not measured, add to `measure:` to see it: parameters, size, latency, energy, synops, spikes."
    assert "The pipeline sets no budget." in text


def test_nothing_measured_is_a_short_report(change):
    text = Text().render(change(baseline={}, final={}, budget=()))
    assert "Nothing was measured; name metrics under `measure:`." in text
    assert "step  use       seconds  reused\n" in text


def test_a_saved_record_gives_the_same_report(record, tmp_path):
    record.write(tmp_path / "record.json")
    assert Text().render(Record.read(tmp_path)) == Text().render(record)


def test_a_detail_of_another_form_is_left_out(change):
    odd = Measurement(value=1.0, unit="mJ", how="by hand", detail={"models": "none"})
    text = Text().render(change(final={"energy": odd}, budget=()))
    assert "Not measured, add to `measure:` to see it: parameters, size, latency, energy, synops, spikes." in text


def test_parameters_that_were_cut_out_are_told_from_zeros(change):
    def sized(parameters, nonzero):
        return {
            "parameters": Measurement(value=parameters, unit="parameters", how=""),
            "parameters_nonzero": Measurement(value=nonzero, unit="parameters", how=""),
        }

    text = Text().render(change(baseline=sized(400, 400), final=sized(100, 75), budget=()))
    assert "Here 25.0 % of the stored parameters are zero, and 75.0 % of the baseline's were cut out." in text


def test_energy_models_that_agree_say_so(change):
    def energy(**mj):
        models = [{"name": name, "mj": value} for name, value in mj.items()]
        return {"energy": Measurement(value=1.0, unit="mJ", how="", detail={"models": models})}

    text = Text().render(change(baseline=energy(a=2.0, b=4.0), final=energy(a=1.0, b=3.0), budget=()))
    assert "All 2 models say that the final network needs less energy." in text
    text = Text().render(change(baseline=energy(a=2.0), final=energy(a=3.0), budget=()))
    assert "The one model says that the final network needs more energy." in text
    text = Text().render(change(baseline={}, final=energy(a=3.0), budget=()))
    assert "There is no baseline to compare with." in text


def test_a_summary_states_mean_spread_and_number_of_runs(summary):
    assert Text().render_summary(summary).splitlines() == [
        "tiny: 2 run(s), seeds 0, 1; mean ± sample standard deviation (n runs)",
        "",
        "value     baseline               final                  change of the mean  unit",
        "--------  ---------------------  ---------------------  ------------------  ----",
        "accuracy  0.8125 ± 0.0884 (n=2)  0.6250 ± 0.1768 (n=2)  -0.1875             1",
        "energy    -                      0.5000 ± 0.3536 (n=2)  -                   mJ",
        "",
        "budget    limit             mean    met by the mean  seeds that miss it",
        "--------  ----------------  ------  ---------------  ------------------",
        "accuracy  drop_at_most 0.1  0.6250  NO               0",
        "",
        "seed  folder",
        "----  ------",
        "0     seed-0",
        "1     seed 1",
        "",
        "value     seed 0  seed 1",
        "--------  ------  ------",
        "accuracy  0.5000  0.7500",
        "energy    0.2500  0.7500",
    ]


def test_a_comparison_states_verdicts_and_the_trade_off(comparison):
    lines = Text().render_comparison(comparison).splitlines()
    assert lines[0] == "Comparison: 4 entries, judged against dense; mean ± sample standard deviation (n runs)"
    assert lines[1] == "broken failed: the loss is nan"
    assert "three quarters  0.75              0.8750 ± 0 (n=2)       1,250 ± 353.55 (n=2)" in lines
    assert "three quarters  1,250 ± 353.55 (n=2)  0.8750 ± 0 (n=2)       yes" in lines
    assert "nearly all      1,500 ± 353.55 (n=2)  0.3125 ± 0.0884 (n=2)  no" in lines
    told = [" ".join(line.split()) for line in lines]
    assert "run value verdict difference 95 % interval p pairs" in told
    assert "three quarters accuracy no difference seen -0.0312 -0.2812 to +0.2188 0.666 3" in told
    assert "nearly all accuracy worse -0.5938 -0.8438 to -0.3438 0.0276 3" in told
    assert "three quarters      0.7500 ± 0.3536 (n=2)  2.2500 ± 0.3536 (n=2)  NO" in lines


HONEST = "A masked network is smaller on disk and sparser; on a CPU or GPU it runs no faster."


def sized(parameters, nonzero):
    return {
        "parameters": Measurement(value=parameters, unit="parameters", how=""),
        "parameters_nonzero": Measurement(value=nonzero, unit="parameters", how=""),
    }


@pytest.mark.parametrize(
    ("masked", "final", "is_said"),
    [
        (True, sized(400, 130), True),
        (True, {}, True),
        (False, sized(400, 399), False),
        (False, {}, False),
        (None, sized(400, 130), True),  # records of 0.1.0 do not say it
        (None, sized(130, 130), False),
        (None, measured(sparsity=0.9), True),
        (None, measured(sparsity=0.0), False),
        (None, {}, False),
    ],
)
def test_what_masks_do_not_bring_is_said_of_masked_networks_alone(change, masked, final, is_said):
    assert (HONEST in Text().render(change(final=final, masked=masked, budget=()))) is is_said


def test_summaries_and_comparisons_say_it_of_masked_networks_alone(summary, comparison):
    for masked in (True, False):
        assert (HONEST in Text().render_summary(summary.model_copy(update={"masked": masked}))) is masked
        dense, other, *_ = comparison.entries
        entries = (dense.model_copy(update={"masked": False}), other.model_copy(update={"masked": masked}))
        told = Text().render_comparison(comparison.model_copy(update={"entries": entries}))
        assert told.count(HONEST) == masked


def test_what_is_not_known_of_a_verdict_is_a_dash(comparison):
    """A comparison of an earlier version has neither interval nor p."""
    old = comparison.verdicts[0].model_copy(
        update={"interval": None, "p": None, "outcome": "too few seeds", "why": "too few seeds: 2 in common"}
    )
    tiny = comparison.verdicts[1].model_copy(update={"p": 2e-5})
    lines = Text().render_comparison(comparison.model_copy(update={"verdicts": (old, tiny)})).splitlines()
    told = [" ".join(line.split()) for line in lines]
    assert "three quarters accuracy too few seeds -0.0312 - - 3" in told
    assert "three quarters synops better -3,250 -3,250.2 to -3,249.8 < 0.001 3" in told


def test_runs_are_columns_where_they_are_fewer_than_values(comparison):
    entries = tuple(entry for entry in comparison.entries if entry.name in ("dense", "nearly all"))
    lines = Text().render_comparison(comparison.model_copy(update={"entries": entries[:1]})).splitlines()
    assert lines[3].split() == ["run", "dense"]
    assert "accuracy            0.9062 ± 0.0442 (n=2)" in lines


def test_a_terminal_gets_the_same_figures_in_tables(record):
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(Text().for_terminal(record))
    shown = console.export_text()
    assert "│ parameters_nonzero │      400 │    130 │ ×0.325" in shown
    assert "The activity collapses first in 'block.lif'" in shown


def test_square_brackets_are_no_markup_on_a_terminal(change):
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(Text().for_terminal(change(name="[red]tiny[/blue]")))
    assert "[red]tiny[/blue]" in console.export_text()
