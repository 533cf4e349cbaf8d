"""Laws of arguments: bad ones are refused by name, unknown ones pass."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from gdjax.testing._code import (
    as_code,
    shapes_of,
)
from gdjax.testing._probe import (
    IMPORTS,
    Subject,
)
from gdjax.testing._report import Broken, NotChecked
from gdjax.transforms import chain, scale_by_learning_rate


def bad_input_is_refused(subject: Subject, bad: Mapping[str, Sequence[object]]) -> None:
    """6: bad numbers when built, bad trees at trace time, each named."""
    for name, values in bad.items():
        for value in values:
            call = subject.code(**{name: repr(value)})
            lines = (
                IMPORTS,
                "nan, inf = float('nan'), float('inf')",
                f"try: {call}; said = 'nothing'",
                "except (ValueError, TypeError) as e: said = str(e)",
                f"assert {name!r} in said, said",
            )
            try:
                subject.build({**subject.numbers, name: value})
            except (ValueError, TypeError) as error:
                if name not in str(error):
                    sentence = f"{name}={value!r} is not named: {error}"
                    raise Broken(sentence, *lines) from error
            else:
                raise Broken(f"{name}={value!r} is accepted.", *lines)
    w, b = jnp.ones(3), jnp.ones(2)
    chained = f"optax.chain({subject.code()}, gd.scale_by_learning_rate(1.0))"
    # Where a direction sees no parameter, the learning rate's link compares.
    is_step = subject.sign < 0
    probe = subject.tx if is_step else chain(subject.tx, scale_by_learning_rate(1.0))
    for wrong, words in (
        ({"layer": {"w": jnp.ones((4, 3)), "b": b}}, ("layer/w", "(4, 3)", "(3,)")),
        ({"layer": {"w": w}}, ("layer/b",)),
    ):
        params = {"layer": {"w": w, "b": b}}
        try:
            jax.eval_shape(
                lambda g, p: probe.update(g, probe.init(p), p), wrong, params
            )
            said = "nothing"
        except (ValueError, TypeError) as error:
            said = str(error)
        if not all(word in said for word in words):
            raise Broken(
                f"gradients {shapes_of(wrong)} for parameters {shapes_of(params)}: "
                f"expected an error with {', '.join(words)}, got {said[:120]!r}.",
                IMPORTS,
                f"tx = {subject.code() if is_step else chained}; "
                f"g, p = ({as_code(wrong)}, {as_code(params)})",
                "try: tx.update(g, tx.init(p), p); said = 'nothing'",
                "except (ValueError, TypeError) as e: said = str(e)",
                f"assert all(word in said for word in {words}), said",
            )
    if not subject.is_factory:
        raise NotChecked("needs the factory (bad trees are refused)")


def extra_arguments_pass(subject: Subject) -> None:
    """7: `update` takes keyword arguments that it does not know."""
    p = {"w": jnp.ones(3)}
    unknown: dict = {"unknown_to_all": 1}
    try:
        subject.tx.update(p, subject.tx.init(p), p, **unknown)
    except TypeError as error:
        raise Broken(
            f"`update` refuses an unknown keyword argument: {error}",
            IMPORTS,
            f"tx, p = {subject.code()}, jnp.ones(3)",
            "tx.update(p, tx.init(p), p, unknown_to_all=1)",
        ) from error
