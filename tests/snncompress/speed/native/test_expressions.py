"""Each operation that has C, against torch itself on ordinary and on odd numbers; and what has none."""

from __future__ import annotations

import ctypes
from importlib.resources import files

import pytest
import torch
from stated_rules import Bell, numbers, step_by_step
from torch.nn import functional

from snncompress.compilers import compiler
from snncompress.speed.derivatives import traced
from snncompress.speed.kernels import run_rule
from snncompress.speed.native.build import library
from snncompress.speed.native.expressions import EXACT, ROUNDED, UntranslatableError, evaluated, translate
from snncompress.speed.native.source import REAL, rule_source
from snncompress.speed.rule import UpdateRule

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C compiler")
DTYPES = [torch.float32, torch.float64]
aten = torch.ops.aten


def real(truth):
    return lambda a, *rest: truth(a, *rest).to(a.dtype)


EXACT_CASES = {
    "neg": torch.neg,
    "mul": torch.mul,
    "div": torch.div,
    "reciprocal": torch.reciprocal,
    "abs": torch.abs,
    "square": aten.square,
    "sign": torch.sign,
    "sgn": torch.sgn,
    "relu": torch.relu,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "ge": real(torch.ge),
    "gt": real(torch.gt),
    "le": real(torch.le),
    "lt": real(torch.lt),
    "eq": real(torch.eq),
    "ne": real(torch.ne),
    "logical_and": real(torch.logical_and),
    "bitwise_and": lambda a, b, c: ((a > 0) & (b > 0)).to(a.dtype),
    "logical_or": real(torch.logical_or),
    "bitwise_or": lambda a, b, c: ((a > 0) | (b > 0)).to(a.dtype),
    "logical_not": real(torch.logical_not),
    "bitwise_not": lambda a, b, c: (~(a > 0)).to(a.dtype),
    "where": lambda a, b, c: torch.where(a > 0, b, c),
    "masked_fill": lambda a, b, c: a.masked_fill(b > 0, 0.3),
    "clamp_min": lambda a, b, c: torch.clamp_min(a, b),
    "clamp_max": lambda a, b, c: torch.clamp_max(a, b),
    "floor": torch.floor,
    "ceil": torch.ceil,
    "threshold_backward": lambda a, b, c: aten.threshold_backward(a, b, 0.25),
}
"""For each entry of the table, what torch computes; functions of fewer inputs take the first ones."""

ROUNDED_CASES = {
    "sqrt": torch.sqrt,  # torch's own is off by one place for some numbers
    "exp": torch.exp,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "log": torch.log,
    "log1p": torch.log1p,
    "rsqrt": torch.rsqrt,
    "erf": torch.erf,
    "sin": torch.sin,
    "cos": torch.cos,
    "atan": torch.atan,
    "sigmoid_backward": aten.sigmoid_backward,
    "tanh_backward": aten.tanh_backward,
}

OTHERS = {
    "add": torch.add,
    "sub": torch.sub,
    "rsub": lambda a, b, c: 0.7 - a,
    "add a number": lambda a, b, c: a + 0.1,
    "divide by a number": lambda a, b, c: a / 3.0,
    "multiply by a number": lambda a, b, c: 0.1 * a,
    "compare with a number": lambda a, b, c: (a >= 0.1).to(a.dtype),
    "pow 1": lambda a, b, c: a**1,
    "pow 2": lambda a, b, c: a**2,
    "pow 3": lambda a, b, c: a**3,
    "pow -1": lambda a, b, c: a**-1,
    "pow -2": lambda a, b, c: a**-2,
    "clamp": lambda a, b, c: a.clamp(-0.3, 0.4),
    "clamp, upside down": lambda a, b, c: a.clamp(0.4, -0.3),
    "clamp below": lambda a, b, c: a.clamp(min=0.1),
    "clamp above": lambda a, b, c: a.clamp(max=0.1),
    "clamp by tensors": torch.clamp,
    "constants": lambda a, b, c: torch.where(a > 0, torch.ones_like(a), torch.full_like(a, -0.1)),
    "infinite": lambda a, b, c: torch.where(a > 0, torch.full_like(a, -torch.inf), b),
    "not a number": lambda a, b, c: torch.where(a > 0, torch.full_like(a, torch.nan), b),
    "a fixed tensor": lambda a, b, c: a * torch.tensor(0.1, dtype=a.dtype),
    "hard sigmoid by hand": lambda a, b, c: functional.relu(a * 0.2 + 0.5) - functional.relu(a * 0.2 - 0.5),
}

ODD = [0.0, -0.0, 1.0, -1.0, torch.inf, -torch.inf, torch.nan, 0.25, 1e-42, -1e-42, 1e30, -1e30, 0.1, -0.3, 0.4]


def inputs(dtype):
    """Return all triples of odd numbers, and random ones behind."""
    odd = torch.cartesian_prod(*[torch.tensor(ODD, dtype=torch.float64)] * 3).T
    drawn = torch.randn(3, 5003, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return [value.contiguous() for value in torch.cat([odd, drawn, drawn * 30], 1).to(dtype)]


def _arity(function, dtype):
    for count in (3, 2, 1):
        try:
            function(*(torch.ones(5, dtype=dtype) for _ in range(count)))
        except (TypeError, RuntimeError):
            continue
        return count
    raise AssertionError(function)


def in_c(cases, dtype):
    """Return a function for each case that runs its C over whole tensors; all are compiled at once."""
    helpers = files("snncompress.speed.native").joinpath("neuron.c").read_text("utf-8").partition("/* RULE */")[0]
    for name, value in {"NUM_TENSORS": "0", "NUM_GRADIENTS": "0", "REAL": REAL[dtype]}.items():
        helpers = helpers.replace(name, value)
    lines, arities = [helpers], []
    for index, function in enumerate(cases.values()):
        arities.append(_arity(function, dtype))
        graph = traced(function, *(torch.ones(5, dtype=dtype) for _ in range(arities[-1])))
        done = translate(graph, ["a", "b", "c"][: arities[-1]], lambda _: "", dtype, exact=False)
        lines.append(
            f"void f{index}(long n, const real *as, const real *bs, const real *cs, real *out) {{"
            "for (long i = 0; i < n; i++) { const real a = as[i], b = bs[i], c = cs[i]; (void)b; (void)c;"
            f"{' '.join(done.lines)} out[i] = {done.results[0]}; }} }}"
        )
    made = library("\n".join(lines))

    def run(index, *given):
        out = torch.empty_like(given[0])
        places = (ctypes.c_void_p(value.data_ptr()) for value in (*given, out))
        made[f"f{index}"](ctypes.c_long(len(out)), *places)
        return out

    return {
        name: (function, arities[i], lambda *x, i=i: run(i, *x)) for i, (name, function) in enumerate(cases.items())
    }


def test_every_operation_of_the_tables_is_tested():
    assert EXACT_CASES.keys() == EXACT.keys()
    assert ROUNDED_CASES.keys() == ROUNDED.keys()


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_exact_operations_are_equal_to_the_bit(dtype):
    given = inputs(dtype)
    for name, (function, arity, run) in in_c(EXACT_CASES | OTHERS, dtype).items():
        expected, found = function(*given[:arity]), run(*given)
        wrong = ~((found == expected) | (found.isnan() & expected.isnan()))
        assert not wrong.any(), (name, [value[wrong][:3].tolist() for value in (*given, expected, found)])


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rounded_operations_are_close_where_they_are_finite(dtype):
    given = [torch.randn(20011, generator=torch.Generator().manual_seed(seed)).to(dtype) * 4 for seed in range(3)]
    positive = {"log", "log1p", "rsqrt", "sqrt"}
    for name, (function, arity, run) in in_c(ROUNDED_CASES, dtype).items():
        values = [value.abs() + 1e-3 for value in given] if name in positive else given
        torch.testing.assert_close(
            run(*values),
            function(*values[:arity]),
            rtol=8 * torch.finfo(dtype).eps,
            atol=4 * torch.finfo(dtype).eps,
            msg=name,
        )


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_rounded_operations_saturate_as_torchs(dtype):
    far = torch.tensor([-torch.inf, -1e4, -90, 90, 1e4, torch.inf], dtype=dtype)
    cases = {name: ROUNDED_CASES[name] for name in ("sigmoid", "tanh", "erf", "atan")}
    for name, (function, _, run) in in_c(cases, dtype).items():
        torch.testing.assert_close(run(far, far, far), function(far), rtol=1e-6, atol=1e-30, msg=name)


REFUSED = {
    "an unknown operation": lambda v, x: torch.lerp(v, x, 0.3),
    "one that is rounded otherwise": lambda v, x: v + x.exp(),
    "a sum with a factor": lambda v, x: torch.add(v, x, alpha=0.1),
    "a root": lambda v, x: v + x.sqrt(),
    "a root as a power": lambda v, x: v + x**0.5,
    "a power": lambda v, x: v + x.abs() ** 1.5,
    "a cast to whole numbers": lambda v, x: v + x.int(),
    "a cast to another precision": lambda v, x: v + x.half(),
    "a cast there and back": lambda v, x: v + x.half().to(x.dtype),
    "a fixed tensor of several values": lambda v, x: v + x * torch.tensor([1.0, 2, 3, 4, 5]),
    "division that rounds": lambda v, x: v + torch.div(x, 2, rounding_mode="floor"),
    "a random number": lambda v, x: v + torch.rand_like(x),
}


@pytest.mark.parametrize("charge", REFUSED.values(), ids=list(REFUSED))
def test_what_has_no_exact_c_is_refused(charge):
    with pytest.raises(UntranslatableError):
        rule_source(UpdateRule(charge, Bell()), 0, torch.float32)


def test_truths_may_be_cast_to_any_precision():
    def charge(v, x):
        return v + x * (x > 0).float()

    for dtype in DTYPES:
        assert "charge_of" in rule_source(UpdateRule(charge, Bell()), 0, dtype).text


@needs_compiler
def test_what_depends_on_tensors_alone_is_computed_by_torch():
    def charge(v, x, w):
        return v * torch.exp(-1 / (w.int() + w.new_ones(w.shape))).clamp(0, 1) + x  # cut to whole numbers, too

    rule, w = UpdateRule(charge, Bell(), 0.7), torch.linspace(0.5, 6.5, 5, dtype=torch.float64)
    x = numbers(4, 9, 5)
    for given in (w, w[3]):
        spikes, v = run_rule(rule, x, None, (given,), steps=4, kernels="native")
        expected = step_by_step(rule, x, None, (given,), 4)
        assert torch.equal(spikes, expected[0])
        assert torch.equal(v, expected[1][-1])


def test_values_of_tensors_are_evaluated_at_any_size():
    graph = traced(lambda v, w: v * w.reshape(1, -1).exp().squeeze(0), torch.ones(5), torch.ones(5))
    done = translate(graph, ["v"], lambda _: "q0", torch.float32, exact=True)
    w = torch.linspace(0, 1, 9)
    assert torch.equal(evaluated(graph, done.prepared, 1, (w,))[0].flatten(), w.exp())
