"""Four fake devices for every test, asked for before jax wakes up."""

import os

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["PJRT_NPROC"] = "64"  # fewer threads than devices in flight: a deadlock
