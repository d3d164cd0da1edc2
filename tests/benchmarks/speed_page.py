"""The figures of the speed benchmark as text and as the tables of the documentation."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from speed_equality import is_equal

from snncompress.compilers import compiler

Result = Mapping[str, Any]


def machine() -> dict[str, Any]:
    """Describe the machine and what runs on it."""
    names = ("snncompress", "torch", "spikingjelly", "snntorch")
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
        "compiler": _compiler(),
    }


def spoken_machine(found: Mapping[str, Any]) -> str:
    """Say the machine in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    threads = f"{found['threads']} thread{'s' if found['threads'] > 1 else ''}"
    return (
        f"{found['processor']}, {threads}; {versions}, Python {found['python']}; {found['compiler'] or 'no C compiler'}"
    )


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _compiler() -> str | None:
    if (program := compiler()) is None:
        return None
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.partition("\n")[0]


def status(results: Iterable[Result]) -> int:
    """Return 0 if every layer fires and every way computes the same in float64, else 1."""
    return int(any(result["rates"]["lowest"] <= 0 or _unequal(result) for result in results))


def _unequal(result: Result) -> list[str]:
    exact = result["equality"].get("float64", {})
    return [path for path, found in exact.items() if not is_equal(found)]


# ---- text


def text(result: Result) -> str:
    """Return one network's figures as text."""
    rates = result["rates"]
    lines = [
        "",
        f"== {result['title']} ({result['name']})",
        f"T {result['timesteps']}, batch {result['batch']}, {result['rounds']} rounds, {_input(result)}",
        f"firing rates {rates['lowest']:.3f} to {rates['highest']:.3f}, median {rates['median']:.3f}"
        + ("" if rates["lowest"] > 0 else "  A LAYER IS SILENT"),
        *(line for path, found in result["found"].items() for line in _found(path, found)),
    ]
    for kind in ("training", "inference"):
        lines += [f"  {kind:10s} {_ratio(path, found)}" for path, found in result[kind].items()]
    lines += [f"  {_alone(path, found, result['memory'])}" for path, found in result["memory"].items()]
    return "\n".join([*lines, *_equality(result["equality"]), *filter(None, [result["profile"]])])


def _input(result: Result) -> str:
    return f"{'the same' if result['repeats'] else 'another'} input at each step"


def _found(path: str, found: Result) -> list[str]:
    took = "" if found["path"] == path else f", took {found['path']!r}"
    own = [f"    {layer}: {how}" for layer, how in found["own_way"].items()]
    return [
        f"  {path}: found in {found['seconds_to_find']:.1f} s{took}",
        *(f"    {one}" for one in found["remarks"]),
        *own,
    ]


def _ratio(path: str, found: Result) -> str:
    if path == "library":
        return f"{path:10s} {1e3 * found['seconds']:8.1f} ms"
    return f"{path:10s} {1e3 * found['seconds']:8.1f} ms  {found['ratio']:.2f}x (quartiles {found['low']:.2f} to {found['high']:.2f})"


def _alone(path: str, found: Result, memory: Result) -> str:
    part = found["peak_mib"] / memory["library"]["peak_mib"]
    return f"alone      {path:10s} a training step adds {found['peak_mib']:.0f} MiB ({part:.2f}); {_first(found)}"


def _first(found: Result) -> str:
    """Say what comes before the second step: proving, compiling, and by how much first calls take longer."""
    again = f"; compiled before: {found['again']['compile_seconds']:.1f} s" if "again" in found else ""
    compiling = f"compile {found['compile_seconds']:.1f} s{again}, " if found["compile_seconds"] else ""
    proving = f"prove {found['prove_seconds']:.1f} s, " if found["prove_seconds"] else ""
    return f"{proving}{compiling}first calls +{found['first_calls_seconds']:.1f} s"


def _equality(found: Result) -> list[str]:
    if not found:
        return []
    lines = [f"  results of {found['batch']} samples"]
    for path, one in found["float64"].items():
        lines.append(
            f"  float64    {path:10s} {'equal' if is_equal(one) else 'NOT EQUAL'}: of {one['spikes']} spikes "
            f"{one['spikes_differing']} differ in training, {one['spikes_differing_evaluation']} in evaluation; gradients "
            f"{one['gradient_gap']:.1e}, logits {one['logit_gap']:.1e} and {one['logit_gap_evaluation']:.1e}"
        )
    return [*lines, *(_single(name, one) for name, one in found["float32"].items())]


def _single(name: str, found: Result) -> str:
    first = found["first_differing"]
    origin = f", the first {first['spikes']} in {first['layer']!r}" if first else ""
    return (
        f"  float32    {name:18s} of {found['spikes']} spikes {found['spikes_differing']} differ from the library's{origin}; "
        f"gradients {found['gradient_gap']:.1e} (median {found['gradient_gap_median']:.1e}); from float64 "
        f"{found['spikes_differing_from_float64']} spikes, gradients {found['gradient_gap_from_float64']:.1e} "
        f"(median {found['gradient_gap_from_float64_median']:.1e})"
    )


# ---- the tables of the documentation


def markdown(found: Mapping[str, Any], results: Iterable[Result]) -> str:
    """Return the tables with a line that describes the machine."""
    results = list(results)
    parts = [_speed_table(results)]
    if all(result["memory"] for result in results):
        parts.append(_memory_table(results))
    if all(result["equality"] for result in results):
        parts.append(_equality_table(results))
    return "\n\n".join([f"Measured on: {spoken_machine(found)}.", *parts]) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _paths(results: list[Result]) -> list[str]:
    return list(results[0]["found"])


def _speed_table(results: list[Result]) -> str:
    paths, kinds = _paths(results), ("training", "inference")
    head = ["network", "batch, T", *(f"{kind}, {path}" for kind in kinds for path in paths)]
    rows = [
        [
            result["title"],
            f"{result['batch']}, {result['timesteps']}",
            *(_cell(result[kind][path]) for kind in kinds for path in paths),
        ]
        for result in results
    ]
    return _table(head, rows)


def _cell(found: Result) -> str:
    return f"{found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def _memory_table(results: list[Result]) -> str:
    paths = _paths(results)
    head = ["network", "library, MiB", *paths, *(f"first steps, {path}" for path in paths)]
    rows = []
    for result in results:
        memory = result["memory"]
        whole = memory["library"]["peak_mib"]
        rows.append(
            [
                result["title"],
                f"{whole:.0f}",
                *(f"{memory[path]['peak_mib'] / whole:.2f}" for path in paths),
                *(_first(memory[path]) for path in paths),
            ]
        )
    return _table(head, rows)


def _equality_table(results: list[Result]) -> str:
    """Return spikes that differ and the largest difference of gradients: in float64, then in float32."""
    names = list(results[0]["equality"]["float32"])
    head = ["network", "spikes", "float64", *names[1:], *(f"{name}, from float64" for name in names)]
    return _table(head, [_equality_row(result, names) for result in results])


def _equality_row(result: Result, names: list[str]) -> list[str]:
    exact, single = (result["equality"][precision] for precision in ("float64", "float32"))
    differing = max(max(one["spikes_differing"], one["spikes_differing_evaluation"]) for one in exact.values())
    gap = max(one["gradient_gap"] for one in exact.values())
    return [
        result["title"],
        f"{single['library']['spikes']:,}",
        f"{differing}, {gap:.0e}",
        *(f"{single[name]['spikes_differing']:,}, {single[name]['gradient_gap']:.0e}" for name in names[1:]),
        *(
            f"{single[name]['spikes_differing_from_float64']:,}, {single[name]['gradient_gap_from_float64']:.0e}"
            for name in names
        ),
    ]
