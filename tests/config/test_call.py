"""Calls with arguments from a config: checked by signature, refused by place."""

import types
from dataclasses import dataclass, field

import pytest

from gdjax.config import call


def anything(a, *rest, b=2, **more):
    return a, rest, b, more


def no_name(a, /):
    return a


def steps(num: int, rate: "float" = 1.0, unknown: "Missing" = None):  # noqa: F821
    return num, rate, unknown


@dataclass(frozen=True)
class Inner:
    size: int = 3

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"`size` must be >= 1, got {self.size}.")


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)


def test_arguments_by_name():
    assert call(anything, {"a": 1, "c": 3}, path="f") == (1, (), 2, {"c": 3})
    assert call(pow, {"base": 2, "exp": 3}, path="power") == 8


def test_a_whole_number_becomes_an_int_and_a_dict_a_dataclass():
    made = call(Outer, {"name": "a", "inner": {"size": 2.0}}, path="x")
    assert made == Outer("a", Inner(2)) and isinstance(made.inner.size, int)
    assert call(Outer, {"name": "a", "inner": Inner(5)}, path="x").inner.size == 5


def test_hints_that_cannot_be_read_are_not_checked():
    assert call(steps, {"num": 1.0, "rate": "a"}, path="x") == (1, "a", None)


@pytest.mark.parametrize(
    "function, arguments, sentence",
    [
        (anything, {"b": 1}, "`x.a` is missing."),
        (no_name, {"a": 1}, "`x.a` is no argument of `no_name`."),
        (pow, {"bas": 1}, "`x.bas` is no argument of `pow`; the nearest is 'base'."),
        (Outer, {}, "`x.name` is missing; it must be a string."),
        (Outer, {"nam": 1}, "`x.nam` is unknown; the nearest is 'name'."),
        (Outer, {"name": 1}, "`x.name` must be a string, got 1."),
        (Outer, {"name": "a", "inner": 3}, "`x.inner` must be a dict, got 3."),
        (
            Outer,
            {"name": "a", "inner": {"siz": 3}},
            "`x.inner.siz` is unknown; the nearest is 'size'.",
        ),
        (
            Outer,
            {"name": "a", "inner": {"size": 0}},
            "`x.inner.size` must be >= 1, got 0.",
        ),
    ],
)
def test_mistakes(function, arguments, sentence):
    with pytest.raises(ValueError) as caught:
        call(function, arguments, path="x")
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "error, sentence",
    [
        (ValueError("`a` must be odd."), "`x.a` must be odd."),
        (TypeError("`a[2][0]` must be odd"), "`x.a.2.0` must be odd."),
        (ValueError("`a.b` must be odd."), "`x.a.b` must be odd."),
        (ValueError("`c` must be odd."), "`x`: `c` must be odd."),
        (ValueError("must be\n  odd."), "`x`: must be odd."),
        (ValueError("must be odd.\n\nHere is why:"), "`x`: must be odd."),
        (KeyError("b"), "`x`: KeyError: 'b'."),
        (ZeroDivisionError(), "`x`: ZeroDivisionError."),
        (AssertionError("odd"), "`x`: AssertionError: odd."),
        (ValueError("m" * 400), f"`x`: {292 * 'm'}..."),
    ],
)
def test_what_a_function_raises_gets_its_place(error, sentence):
    def function(a):
        raise error

    with pytest.raises(ValueError) as caught:
        call(function, {"a": 1}, path="x")
    assert str(caught.value) == sentence and caught.value.__cause__ is error


@pytest.mark.parametrize("error", [ImportError("pip install"), OSError(2, "no file")])
def test_what_is_no_mistake_in_the_config_passes(error):
    def function():
        raise error

    with pytest.raises(type(error)) as caught:
        call(function, {}, path="x")
    assert caught.value is error


def test_a_function_without_hints_of_its_own():
    partial = types.MethodType(anything, 5)
    assert call(partial, {"b": 3}, path="x") == (5, (), 3, {})
