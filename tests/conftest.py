"""Four fake devices for every test, asked for before jax wakes up.

`JAX_PLATFORMS=cuda,cpu` runs them on a GPU: those that need several devices fail there.
"""

import os

FLAGS = os.environ.get("XLA_FLAGS", ""), "--xla_force_host_platform_device_count=4"
os.environ["XLA_FLAGS"] = " ".join(FLAGS).strip()
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["PJRT_NPROC"] = "64"  # fewer threads than devices in flight: a deadlock
