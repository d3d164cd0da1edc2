"""How much sooner the fast path is: training steps and inference of live networks against their library's own way.

Run ``python tests/benchmarks/speed.py [--networks NAME...] [--rounds N] [--json FILE] [--markdown FILE]``. Every network is built
by the project's own architecture, brought to life (norms calibrated, neurons firing in every layer) and run in one process,
the ways in turn: a training step (forward, cross entropy, backward) and inference (evaluation, no gradients). Ratios are taken
round by round; median and quartiles are printed. Beside them: peak memory of a training step, each way in a process of its
own (highest resident size in the step, above the resident size before it); seconds before the first step; and whether results
are equal, in float64 and beside the noise that float32 has in the library itself. Times decide nothing: the exit status is 1
only where float64 results differ or a layer is silent.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import speed_equality
import speed_page
import torch
from speed_cases import CASES, Live, firing_rates, live
from speed_memory import step_of

from snncompress.compilers import compiler
from snncompress.measure.memory import freed_memory_kept
from snncompress.speed import acceleration

FEW_ROUNDS = 2
"""Fewer have no quartiles."""


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turn(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Run every work once to warm up, then ``rounds`` times, another one first in each round."""
    names = list(works)
    for work in works.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in names}
    for start in range(rounds):
        for name in names[start % len(names) :] + names[: start % len(names)]:
            taken[name].append(seconds(works[name]))
    return taken


def compared(taken: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return each way's median seconds, and quartiles of how often it fits into the library's time."""
    own = taken["library"]
    found = {}
    for name, times in taken.items():
        ratios = [one / other for one, other in zip(own, times, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
        found[name] = {"seconds": statistics.median(times), "ratio": middle, "low": low, "high": high}
    return found


def timed(case: Live, paths: tuple[str, ...], rounds: int) -> dict[str, Any]:
    """Time every way through one network, and say what was found for it."""
    networks, found = {"library": case.network}, {}
    for path in paths:
        started = time.perf_counter()
        way = acceleration(case.network, path, probe=case.x_TBCHW)  # type: ignore[arg-type] # one of the literals
        networks[path] = way.network
        found[path] = {
            "path": way.path,
            "seconds_to_find": time.perf_counter() - started,
            "remarks": list(way.remarks),
            "own_way": {layer: how for layer, how in way.layers.items() if how.startswith("its own way")},
        }
    steps = {name: lambda network=network: case.training_step(network) for name, network in networks.items()}
    passes = {name: lambda network=network: case.inference(network) for name, network in networks.items()}
    return {
        "found": found,
        "training": compared(in_turn(steps, rounds)),
        "inference": compared(in_turn(passes, rounds)),
    }


def timed_as_in_a_run(case: Live, paths: tuple[str, ...], rounds: int, *, give_back: bool) -> dict[str, Any]:
    """Time with freed memory kept, as a run does, for every way alike; or with the C library as it is."""
    if give_back:
        return {"memory_kept": False, **timed(case, paths, rounds)}
    with freed_memory_kept():
        return {"memory_kept": True, **timed(case, paths, rounds)}


def alone(name: str, path: str, batch: int, cache: str) -> dict[str, float]:
    """Measure one way in a process of its own, compiled files in the folder ``cache``."""
    environment = {**os.environ, "XDG_CACHE_HOME": cache, "TORCHINDUCTOR_CACHE_DIR": cache}
    command = [sys.executable, __file__, "--networks", name, "--alone", path, "--batch", str(batch)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}, {path}: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def memory(name: str, paths: tuple[str, ...], batch: int) -> dict[str, Any]:
    """Measure every way in a process of its own; the compiled one twice: nothing compiled before, and all of it."""
    with tempfile.TemporaryDirectory() as cache:
        found: dict[str, Any] = {path: alone(name, path, batch, cache) for path in ("library", *paths)}
        if "compiled" in paths:
            found["compiled"]["again"] = alone(name, "compiled", batch, cache)
    return found


def profiled(case: Live, paths: tuple[str, ...], rows: int = 15) -> str:
    """Return where the time of a training step and of inference goes, by way."""
    texts = []
    for path in ("reference", *paths):
        network = acceleration(case.network, path, probe=case.x_TBCHW).network  # type: ignore[arg-type] # one of the literals
        for kind, work in (("training step", case.training_step), ("inference", case.inference)):
            work(network)
            with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
                work(network)
            table = profile.key_averages().table("self_cpu_time_total", row_limit=rows, max_name_column_width=50)
            texts.append(f"{case.case.title}, {path}, {kind}\n{table}")
    return "\n".join(texts)


def measured(name: str, given: argparse.Namespace, paths: tuple[str, ...]) -> dict[str, Any]:
    """Return everything about one network."""
    case = CASES[name] if given.encode is None else replace(CASES[name], encode=given.encode)
    subject = live(case, given.batch)
    subject.network.module.eval()
    rates = sorted(firing_rates(subject.network, subject.x_TBCHW).values())
    rounds = max(FEW_ROUNDS, round(given.rounds * case.share))
    return {
        "name": name,
        "title": case.title,
        "library": case.library,
        "batch": given.batch,
        "timesteps": case.timesteps,
        "repeats": case.encode == "direct",
        "rounds": rounds,
        "rates": {"lowest": rates[0], "median": statistics.median(rates), "highest": rates[-1]},
        **timed_as_in_a_run(subject, paths, rounds, give_back=given.give_back),
        "equality": {} if given.no_equality else speed_equality.report(subject, paths),
        "memory": {} if given.no_memory else memory(name, paths, given.batch),
        "profile": profiled(subject, paths) if given.profile else "",
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--networks", nargs="+", choices=CASES, default=list(CASES), metavar="NAME", help=", ".join(CASES)
    )
    parser.add_argument("--rounds", type=int, default=11, help="interleaved rounds; long networks run fewer")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--encode", choices=("direct", "poisson"), help="the same input at each step, or another one")
    parser.add_argument("--give-back", action="store_true", help="leave freed memory to the C library; a run keeps it")
    parser.add_argument("--no-equality", action="store_true", help="leave out the comparison of results")
    parser.add_argument("--no-memory", action="store_true", help="leave out peak memory and first steps")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables of docs/explanation/speed.md")
    parser.add_argument("--alone", metavar="PATH", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Measure, print and write; return the exit status."""
    given = arguments()
    if given.alone:
        print(json.dumps(step_of(CASES[given.networks[0]], given.alone, given.batch)))
        return 0
    paths = ("fused", "compiled") if compiler() else ("fused",)
    machine = speed_page.machine()
    print(speed_page.spoken_machine(machine), flush=True)
    results = []
    for name in given.networks:
        results.append(measured(name, given, paths))
        print(speed_page.text(results[-1]), flush=True)
        if given.json:
            given.json.write_text(json.dumps({"machine": machine, "networks": results}, indent=1), encoding="utf-8")
        if given.markdown:
            given.markdown.write_text(speed_page.markdown(machine, results), encoding="utf-8")
    return speed_page.status(results)


if __name__ == "__main__":
    sys.exit(main())
