"""Type hints against JSON data: what passes, what becomes what, what is said."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Optional, Union

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import gdjax as gd
from gdjax.config._types import fitted, in_words, shown

Number = float | jax.Array
Rate = Number | optax.Schedule
Mode = Literal["min", "max"]
Scales = Optional[dict[int, float]]  # noqa: UP045
NAN, INF = float("nan"), float("inf")
TX = gd.sgd(0.1)


@pytest.mark.parametrize(
    "hint, value, expected",
    [
        (int, 3, 3),
        (int, 1e3, 1000),
        (int | None, 2.0, 2),
        (int | None, None, None),
        (float, 3, 3),
        (float, 0.5, 0.5),
        (int | float, 2.0, 2.0),
        (Number, 10**12, 1e12),
        (Number, -(10**12), -1e12),
        (Number, 2**31 - 1, 2**31 - 1),
        (int, 10**12, 10**12),
        (optax.ScalarOrSchedule, 0.1, 0.1),
        (Rate, jnp.sin, jnp.sin),
        (bool, False, False),
        (bool | int, True, True),
        (bool | int, 2, 2),
        (str, "x", "x"),
        (Mode, "max", "max"),
        (int | Literal["full"], "full", "full"),
        (Callable, jnp.sin, jnp.sin),
        (optax.GradientTransformation, TX, TX),
        (optax.GradientTransformationExtraArgs | None, TX, TX),
        (Sequence[int], [1.0, 2], [1, 2]),
        (list, ["a", 1], ["a", 1]),
        (tuple[float, ...], (1, 2.5), [1, 2.5]),
        (tuple[str, int], ["a", 1.0], ["a", 1]),
        (Scales, {"5": 0.5, "10": 1}, {5: 0.5, 10: 1}),
        (Mapping[str, object], {"5": [None]}, {"5": [None]}),
        (Annotated[int, "steps"], 4.0, 4),
        (Union[int, None], 4.0, 4),  # noqa: UP007
        # Hints and values of which nothing is known pass as they are.
        (Any, 1.0, 1.0),
        (jax.typing.DTypeLike, "nonsense", "nonsense"),
        (optax.Params | Callable | None, {"a": 1}, {"a": 1}),
        ("int", "many", "many"),
        ([int], "many", "many"),
        (int, np.arange(3), np.arange(3)),
        (float, np.float32(2), np.float32(2)),
    ],
)
def test_what_fits(hint, value, expected):
    made = fitted(hint, value, path="x")
    assert type(made) is type(expected)
    np.testing.assert_equal(made, expected)
    if isinstance(expected, list):
        assert [type(x) for x in made] == [type(x) for x in expected]


@pytest.mark.parametrize(
    "hint, value, sentence",
    [
        (int, "many", "`x` must be an int, got 'many'."),
        (int, 2.5, "`x` must be an int, got 2.5."),
        (int, 1e300, "`x` must be an int, got 1e+300."),
        (int, True, "`x` must be an int, got True."),
        (int, None, "`x` must be an int, got None."),
        (int | None, "a", "`x` must be an int or None, got 'a'."),
        (float, True, "`x` must be a number, got True."),
        (Number, "1e-3", "`x` must be a number, got '1e-3'."),
        (Number, [0.1], "`x` must be a number, got [0.1]."),
        (Number, {"a": 1}, "`x` must be a number, got {'a': 1}."),
        (Number, jnp.sin, "`x` must be a number, got a function."),
        (jax.typing.ArrayLike, False, "`x` must be a number, got False."),
        (Rate, TX, "`x` must be a number or a schedule, got a transformation."),
        (Rate | None, "a", "`x` must be a number, a schedule or None, got 'a'."),
        (bool, 1, "`x` must be a bool, got 1."),
        (str, 1, "`x` must be a string, got 1."),
        (jax.Array, 1, "`x` must be an array, got 1."),
        (jax.Array | int, "a", "`x` must be an int, got 'a'."),
        (Mode, "mim", "`x` must be one of min, max, got 'mim'; the nearest is 'min'."),
        (Mode, 3, "`x` must be one of min, max, got 3."),
        (Literal[1, 2], 3, "`x` must be one of 1, 2, got 3."),
        (Mode | None, 3, "`x` must be 'min', 'max' or None, got 3."),
        (
            int | Literal["full"],
            "ful",
            "`x` must be an int or 'full', got 'ful'; the nearest is 'full'.",
        ),
        (Callable, "relu", "`x` must be a function, got 'relu'."),
        (optax.GradientTransformation, 3, "`x` must be a transformation, got 3."),
        (Sequence[int], 3, "`x` must be a list, got 3."),
        (Sequence[int], [1, "b"], "`x.1` must be an int, got 'b'."),
        (
            Sequence[Sequence[int]],
            [[1], [2, None]],
            "`x.1.1` must be an int, got None.",
        ),
        (tuple[str, int], ["a"], "`x` must be a list of 2, got ['a']."),
        (tuple[str, int], [1, 1], "`x.0` must be a string, got 1."),
        (tuple[int, ...], [1, "b"], "`x.1` must be an int, got 'b'."),
        (Mapping[str, int], [1], "`x` must be a dict, got [1]."),
        (Scales, {"5": "a"}, "`x.5` must be a number, got 'a'."),
        (Any, NAN, "`x` must be finite, got nan."),
        (float, -INF, "`x` must be finite, got -inf."),
        (int, 10**400, f"`x` must be finite, got 1{76 * '0'}...."),
    ],
)
def test_what_does_not_fit(hint, value, sentence):
    with pytest.raises(ValueError) as caught:
        fitted(hint, value, path="x")
    assert str(caught.value) == sentence


def test_words():
    assert in_words(Rate) == "a number or a schedule"
    assert in_words(int | bool) == "an int or a bool"
    assert in_words(Any) == in_words("int") == in_words(set[int] | None) == ""


def test_values_are_shown_without_addresses_and_not_at_length():
    assert shown([1, "a", None]) == "[1, 'a', None]"
    assert shown([jnp.sin, 3]) == "a list" and shown({"a": TX}) == "a dict"
    assert shown(list(range(99))).endswith(", 20, 21...")
    assert len(shown("x" * 99)) == 80
