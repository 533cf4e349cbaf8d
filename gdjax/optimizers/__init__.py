"""Ready-made optimizers: chains of links with no arithmetic of their own."""

from gdjax.optimizers._adafactor import adafactor
from gdjax.optimizers._adam import adam, adamw
from gdjax.optimizers._adamax import adamax, adamaxw, amsgrad
from gdjax.optimizers._lifted import (
    acprop,
    cocob,
    dadapt_adamw,
    dog,
    dowg,
    fromage,
    lbfgs,
    madgrad,
    momo,
    momo_adam,
    noisy_sgd,
    optimistic_adam,
    optimistic_adam_v2,
    optimistic_gradient_descent,
    polyak_sgd,
    simplified_ademamix,
    sm3,
)
from gdjax.optimizers._modern import adamc, ademamix, adopt, mars_adamw
from gdjax.optimizers._nadam import nadam, nadamw
from gdjax.optimizers._names import optimizer_names
from gdjax.optimizers._prodigy import prodigy
from gdjax.optimizers._relatives import adabelief, adan, novograd, radam, yogi
from gdjax.optimizers._rms import adadelta, adagrad, rmsprop
from gdjax.optimizers._schedule_free import schedule_free_adamw, schedule_free_sgd
from gdjax.optimizers._sgd import sgd
from gdjax.optimizers._signs import lion, rprop, sign_sgd, signum
from gdjax.optimizers._trust_ratio import lamb, lars

__all__ = [
    "acprop",
    "adabelief",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamaxw",
    "adamc",
    "adamw",
    "adan",
    "ademamix",
    "adopt",
    "amsgrad",
    "cocob",
    "dadapt_adamw",
    "dog",
    "dowg",
    "fromage",
    "lamb",
    "lars",
    "lbfgs",
    "lion",
    "madgrad",
    "mars_adamw",
    "momo",
    "momo_adam",
    "nadam",
    "nadamw",
    "noisy_sgd",
    "novograd",
    "optimistic_adam",
    "optimistic_adam_v2",
    "optimistic_gradient_descent",
    "optimizer_names",
    "polyak_sgd",
    "prodigy",
    "radam",
    "rmsprop",
    "rprop",
    "schedule_free_adamw",
    "schedule_free_sgd",
    "sgd",
    "sign_sgd",
    "signum",
    "simplified_ademamix",
    "sm3",
    "yogi",
]
