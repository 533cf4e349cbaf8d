"""Options of `jax.jit` for tests of small programs that run once."""

# Half of the time to compile, and the same values to rounding.
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
