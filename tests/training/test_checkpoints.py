"""Checkpoints: what is saved comes back bit for bit, whole, or with a reason."""

import subprocess
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from gdjax.parallel import make_mesh
from gdjax.training import Checkpoints


class State(NamedTuple):
    count: jax.Array
    trees: dict


def state(shift=0.0):
    return State(
        jnp.asarray(7, jnp.int32),
        {
            "half": (jnp.arange(5.0) / 3 + shift).astype(jnp.bfloat16),
            "wide": [jnp.array([jnp.nan, -0.0, 1e-40, jnp.inf]), None, ()],
            "key": jax.random.key(3),
            "keys": jax.random.split(jax.random.key(4, impl="rbg"), 2),
            "raw": jnp.array([1, 2], jnp.uint32),
            "empty": jnp.zeros((0, 3)),
            "flag": jnp.asarray(True),
            "complex": jnp.array([1 + 2j], jnp.complex64),
            "a/b": jnp.ones((2, 2)),
        },
    )


def bits(leaf):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return leaf.dtype, leaf.shape, np.asarray(leaf).tobytes()


def assert_the_same(one, two):
    assert jax.tree.structure(one) == jax.tree.structure(two)
    for a, b in zip(*map(jax.tree.leaves, (one, two)), strict=True):
        assert bits(a) == bits(b)


@pytest.fixture
def saved(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints", keep=2)
    for step in (10, 9, 20):
        checkpoints.save(step, state(step))
    checkpoints.wait()
    return checkpoints.directory


def test_everything_comes_back_bit_for_bit(saved):
    checkpoints = Checkpoints(saved)
    assert checkpoints.steps() == [10, 20]  # the newest two
    for like in (state(), jax.eval_shape(state)):
        step, restored = checkpoints.restore(like)
        assert step == 20
        assert_the_same(restored, state(20))
        assert jax.random.key_impl(restored.trees["keys"]) == "rbg"
    # Nobody needs gdjax to read it.
    import orbax.checkpoint as ocp

    plain = ocp.PyTreeCheckpointer().restore(saved / "10")
    assert plain["trees"]["a"]["b"].shape == (2, 2) and int(plain["count"]) == 7


def test_a_step_is_written_anew_by_another_run(saved):
    checkpoints = Checkpoints(saved)
    checkpoints.save(20, state(5))
    checkpoints.wait()
    assert_the_same(checkpoints.restore(state())[1], state(5))
    assert sorted(path.name for path in saved.iterdir()) == ["10", "20"]


def test_the_state_may_change_while_it_is_saved(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    donating = jax.jit(
        lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0
    )
    tree = {"w": jnp.zeros(100_000)}
    checkpoints.save(0, tree)
    for _ in range(10):
        tree = donating(tree)
    checkpoints.wait()
    assert checkpoints.restore(tree)[1]["w"].sum() == 0


def test_leaves_come_back_to_their_devices(tmp_path):
    mesh = make_mesh({"data": 4})
    split = NamedSharding(mesh, PartitionSpec("data"))
    everywhere = NamedSharding(mesh, PartitionSpec())
    tree = {
        "split": jax.device_put(jnp.arange(8.0), split),
        "all": jax.device_put(jnp.ones([]), everywhere),
        "one": jnp.ones(2),
    }
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, tree)
    checkpoints.wait()
    _, restored = checkpoints.restore(tree)
    assert (
        restored["split"].sharding == split and restored["all"].sharding == everywhere
    )
    assert not restored["one"].committed
    assert_the_same(restored, tree)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"half": jnp.zeros(5)},
            r"`trees/half` is bfloat16\[5\] there and float32\[5\]",
        ),
        ({"raw": jnp.zeros(3, jnp.uint32)}, r"uint32\[2\] there and uint32\[3\] here"),
        ({"new": jnp.zeros(2)}, r"`trees/new` is missing there and float32\[2\] here"),
        ({"raw": None}, r"`trees/raw` is uint32\[2\] there and missing here"),
    ],
)
def test_another_state_is_refused_by_the_leaf(saved, change, message):
    like = state()
    like.trees.update(change)
    with pytest.raises(ValueError, match=message):
        Checkpoints(saved).restore(like)


def test_what_a_killed_process_leaves_is_no_checkpoint(saved):
    def leave():
        for name in (".new-30.orbax-checkpoint-tmp", ".new-31", ".removed-10"):
            (saved / name / "d").mkdir(parents=True)

    leave()
    checkpoints = Checkpoints(saved)
    assert checkpoints.restore(state())[0] == 20
    assert sorted(path.name for path in saved.iterdir()) == ["10", "20"]
    leave()
    checkpoints.save(31, state())
    checkpoints.wait()
    assert checkpoints.steps() == [20, 31]


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_one_that_is_broken_is_set_aside_and_said(saved, capfd):
    (saved / "40").mkdir()
    largest = max((saved / "20").rglob("*/d/*"), key=lambda path: path.stat().st_size)
    flip(largest)  # Orbax itself would notice nothing
    checkpoints = Checkpoints(saved, keep=1)
    step, restored = checkpoints.restore(state())
    assert step == 10
    assert_the_same(restored, state(10))
    name = largest.relative_to(saved / "20")
    assert tuple(capfd.readouterr()) == (
        f"checkpoint {saved}/40 is broken, now broken-40: manifest.json is missing\n"
        f"checkpoint {saved}/20 is broken, now broken-20: {name} is not what was "
        "written\n",
        "",
    )
    # Its place is free, and retention does not prefer it to the good one.
    checkpoints.save(20, state(1))
    checkpoints.wait()
    assert_the_same(Checkpoints(saved).restore(state())[1], state(1))
    names = sorted(path.name for path in saved.iterdir())
    assert names == ["20", "broken-20", "broken-40"]


def test_every_file_counts(saved):
    checkpoints = Checkpoints(saved)
    assert checkpoints.verify(20) is None
    for path in [path for path in (saved / "20").rglob("*") if path.is_file()]:
        data = path.read_bytes()
        flip(path)
        assert checkpoints.verify(20) is not None
        path.unlink()
        assert checkpoints.verify(20) == f"{path.name} is missing"
        path.write_bytes(data)
    assert checkpoints.verify(20) is None


def test_no_checkpoint_is_no_error_and_only_broken_ones_are(saved, tmp_path):
    assert Checkpoints(tmp_path / "none").restore(state()) is None
    assert not (tmp_path / "none").exists()
    (saved / "20" / "manifest.json").write_text("{")
    (saved / "10" / "manifest.ocdbt").unlink()
    with pytest.raises(
        OSError,
        match="no checkpoint is intact: .*/20: manifest.json is no JSON file; "
        ".*/10: manifest.ocdbt is missing",
    ):
        Checkpoints(saved).restore(state())
    assert sorted(path.name for path in saved.iterdir()) == ["10", "20"]


def test_nothing_is_written_where_it_is_not_good(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    seen = []
    checkpoints.save(1, {"w": jnp.ones(2)}, good=lambda x: seen.append(x) or False)
    checkpoints.wait()
    assert checkpoints.steps() == [] and isinstance(seen[0]["w"], np.ndarray)


def test_two_leaves_with_one_path_are_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for tree in ({"a": np.ones(1), "a/b": np.ones(1)}, {"a": [1.0], "a/0": 1.0}):
        checkpoints.save(1, jax.tree.map(jnp.asarray, tree))
        with pytest.raises(ValueError, match="two leaves .* have the path `a"):
            checkpoints.wait()


def test_after_a_save_that_failed_it_can_be_used(tmp_path):
    (tmp_path / "full").write_text("")
    checkpoints = Checkpoints(tmp_path / "full" / "below")
    checkpoints.save(1, {"w": jnp.ones(1)})
    with pytest.raises(OSError, match="full"):
        checkpoints.wait()
    (tmp_path / "full").unlink()
    checkpoints.save(1, {"w": jnp.ones(1)})
    checkpoints.wait()
    assert checkpoints.steps() == [1]
    # Another run in its place is saved too.
    (tmp_path / "full").rename(tmp_path / "moved")
    assert checkpoints.restore({"w": jnp.ones(1)}) is None
    checkpoints.save(1, {"w": jnp.ones(1)})
    checkpoints.wait()
    assert checkpoints.steps() == [1]


def test_a_weak_scalar_stays_weak(tmp_path):
    """A strong one would turn bf16 parameters into f32."""
    tree = {"rate": jnp.asarray(0.997), "count": jnp.asarray(3)}
    assert tree["rate"].weak_type and tree["count"].weak_type
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, tree)
    checkpoints.wait()
    _, restored = checkpoints.restore(tree)
    assert restored["rate"].weak_type and restored["count"].weak_type
    assert_the_same(restored, tree)


FULL = """
import resource, sys
import jax.numpy as jnp
from gdjax.training import Checkpoints
checkpoints = Checkpoints(sys.argv[1])
checkpoints.save(1, {"w": jnp.ones(10)})
checkpoints.wait()
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
checkpoints.save(2, {"w": jnp.arange(100_000.0)})
try:
    checkpoints.wait()
except OSError as error:
    print(error)
print(checkpoints.steps())
"""


def test_a_full_disk_is_said_with_path_and_reason(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL, tmp_path],
        capture_output=True,
        text=True,
    )
    said = f"[Errno 27] File too large: '{tmp_path}/2'\n[1]\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


def test_how_often(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    by_steps = Checkpoints(tmp_path / "a", every_steps=10)
    due = []
    for step in range(3, 50, 4):  # the ends of calls
        if by_steps.due(step):
            due.append(step)
            by_steps.copy(step, {})
    assert due == [11, 23, 31, 43]
    by_time = Checkpoints(tmp_path / "b", every_seconds=5)
    by_time.wait()
    assert not by_time.due(1)
    now[0] = 5.0
    assert by_time.due(2)
    by_time.copy(2, {})
    assert not by_time.due(3)
    now[0] = 10.0
    assert not by_time.due(4)  # the copy still waits
    by_time.restore({})  # as the next run does
    assert by_time.due(4)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"keep": 0}, "`keep`"),
        ({"every_seconds": -1}, "`every_seconds`"),
        ({"every_steps": 0}, "`every_steps`"),
        ({"every_steps": 1.5}, "`every_steps`"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments, message, tmp_path):
    with pytest.raises((ValueError, TypeError), match=message):
        Checkpoints(tmp_path, **arguments)
