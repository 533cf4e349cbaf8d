"""The rest of Optax's optimizers, with the promises of gdjax's own."""

import optax
from optax import contrib

from gdjax.transforms import lawful

acprop = lawful(contrib.acprop, sign=-1)
cocob = lawful(contrib.cocob, sign=-1, real_only=True)
dadapt_adamw = lawful(contrib.dadapt_adamw, sign=-1, real_only=True)
dog = lawful(contrib.dog, sign=-1, real_only=True)
dowg = lawful(contrib.dowg, sign=-1, real_only=True)
fromage = lawful(optax.fromage, sign=-1)
lbfgs = lawful(optax.lbfgs, sign=-1)
madgrad = lawful(contrib.madgrad, sign=-1, real_only=True)
momo = lawful(contrib.momo, sign=-1, real_only=True)
momo_adam = lawful(contrib.momo_adam, sign=-1, real_only=True)
noisy_sgd = lawful(optax.noisy_sgd, sign=-1)
optimistic_adam = lawful(optax.optimistic_adam, sign=-1)
optimistic_adam_v2 = lawful(optax.optimistic_adam_v2, sign=-1)
optimistic_gradient_descent = lawful(optax.optimistic_gradient_descent, sign=-1)
polyak_sgd = lawful(optax.polyak_sgd, sign=-1)
simplified_ademamix = lawful(contrib.simplified_ademamix, sign=-1, real_only=True)
sm3 = lawful(optax.sm3, sign=-1, real_only=True, scalars=False)
