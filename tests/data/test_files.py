"""Data sets in .npz files: what is read, and the sentence for each broken file."""

import zipfile

import numpy as np
import pytest

from gdjax import data

N = 40
INPUTS = np.random.default_rng(0).normal(3.0, 2.0, (N, 2, 3))
TARGETS = np.arange(N) % 4


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mine.npz"


def load(path, **options):
    return data.load(path.stem, path.parent, **options)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_is_split_and_standardised(path, save):
    save(path, inputs=INPUTS, targets=TARGETS, weights=np.ones(3))
    train, validation, test, info = load(path, seed=1)
    assert info.sizes == {"train": 24, "validation": 8, "test": 8}
    assert train.inputs.shape == (24, 2, 3) and train.inputs.dtype == np.float32
    assert test.targets.dtype == np.int32
    np.testing.assert_allclose(train.inputs.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(train.inputs.std(0), 1, rtol=1e-6)
    for part in (train, validation, test):
        assert set(part.targets.tolist()) == {0, 1, 2, 3}
    assert info._replace(digest="") == data.Info(
        name="mine",
        sizes=info.sizes,
        num_classes=4,
        digest="",
        source=f"the file {path}",
        licence="not stated",
    )


def test_rows_keep_their_targets(path):
    np.savez(path, inputs=TARGETS[:, None] + 10.0, targets=TARGETS)
    for part in load(path)[:3]:
        order = np.argsort(part.inputs[:, 0])
        assert (np.diff(part.targets[order]) >= 0).all()
        assert len(np.unique(part.inputs)) == 4


def test_the_digest_is_of_the_data_and_the_split(path):
    def digest(inputs=INPUTS, targets=TARGETS, **options):
        np.savez(path, inputs=inputs, targets=targets)
        return load(path, **options).info.digest

    changed = INPUTS.copy()
    changed[7, 1, 2] += 1e-6
    digests = [digest(), digest(changed), digest(targets=TARGETS[::-1]), digest(seed=2)]
    assert len(set(digests)) == 4
    assert digest(targets=TARGETS.astype(np.uint8)) == digests[0]


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, ">f8"])
def test_any_real_numbers_are_inputs(path, dtype):
    np.savez(path, inputs=(INPUTS * 10).astype(dtype), targets=TARGETS)
    assert np.isfinite(load(path).train.inputs).all()


def test_a_small_class_is_for_training_alone_and_a_gap_is_none(path):
    targets = np.array([0] * 10 + [1] * 3 + [5] * 4)
    np.savez(path, inputs=np.ones((17, 1)), targets=targets)
    train, validation, test, info = load(path)
    assert info.num_classes == 6
    assert np.bincount(train.targets).tolist() == [6, 3, 0, 0, 0, 2]
    for part in (validation, test):
        assert np.bincount(part.targets).tolist() == [2, 0, 0, 0, 0, 1]


def with_value(value):
    inputs = INPUTS.copy()
    inputs[3, 1, 0] = value
    return inputs


@pytest.mark.parametrize(
    "arrays, expected, found",
    [
        ({"inputs": None, "x": INPUTS}, "arrays `inputs` and", "`targets`, `x`"),
        ({"targets": None}, "arrays `inputs` and `targets`", "`inputs`"),
        ({"inputs": None, "targets": None}, "arrays `inputs` and", "none"),
        (
            {"inputs": INPUTS.astype(object)},
            "a readable array `inputs`",
            "Object arrays cannot be loaded when allow_pickle=False",
        ),
        ({"inputs": INPUTS.astype(str)}, "numbers as `inputs`", "<U32"),
        ({"inputs": INPUTS + 1j}, "numbers as `inputs`", "complex128"),
        ({"inputs": 3.0}, "`inputs` of shape [n, ...]", "shape ()"),
        ({"inputs": INPUTS[:, 0, 0]}, "`inputs` of shape [n, ...]", "shape (40,)"),
        ({"inputs": INPUTS[:0]}, "one or more examples", "shape (0, 2, 3)"),
        ({"inputs": INPUTS[:, :0]}, "one or more features", "shape (40, 0, 3)"),
        ({"targets": TARGETS[1:]}, "`targets` of shape (40,)", "(39,)"),
        ({"targets": TARGETS[:, None]}, "`targets` of shape (40,)", "(40, 1)"),
        ({"targets": TARGETS / 1}, "integers as `targets`", "float64"),
        ({"targets": TARGETS - 1}, "`targets` in [0, 2**31 - 1)", "-1"),
        ({"targets": TARGETS + 2**31}, "`targets` in [0, 2**31 - 1)", "2147483651"),
        ({"targets": np.arange(N) // 3}, "a class of at least 4", "3 in the largest"),
        ({"inputs": with_value(np.nan)}, "finite in f32", "nan at [3, 1, 0]"),
        ({"inputs": with_value(-np.inf)}, "finite in f32", "-inf at [3, 1, 0]"),
        ({"inputs": with_value(1e39)}, "finite in f32", "1e+39 at [3, 1, 0]"),
    ],
)
def test_arrays_that_are_refused(path, arrays, expected, found):
    arrays = {"inputs": INPUTS, "targets": TARGETS, **arrays}
    np.savez(path, **{name: x for name, x in arrays.items() if x is not None})
    assert_refused(path, expected, found)


def test_files_that_are_broken(path, tmp_path):
    np.savez(path, inputs=INPUTS, targets=TARGETS)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content, expected, found in (
        (b"", "a .npz file", "an empty file"),
        (b"not a zip", "a .npz file", "no zip of arrays"),
        (whole[:-1], "a .npz file", "a truncated one"),
        (whole[: len(whole) // 2], "a .npz file", "a truncated one"),
        (bytes(flipped), "readable array `inputs`", "Bad CRC-32 for file 'inputs.npy'"),
    ):
        path.write_bytes(content)
        assert_refused(path, expected, found)

    np.save(tmp_path / "one.npy", INPUTS)
    (tmp_path / "one.npy").rename(path)
    assert_refused(path, "a .npz file", "no zip of arrays")

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inputs", "no array")
        archive.writestr("targets", "no array")
    assert_refused(path, "arrays `inputs` and `targets`", "`inputs`, `targets`")

    path.unlink()
    path.mkdir()
    assert_refused(path, "a .npz file", "a folder")


def assert_refused(path, expected, found):
    with pytest.raises(ValueError) as refused:
        load(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: expected ") and message.endswith(f"{found}.")
    assert expected in message and "\n" not in message


def test_a_name_that_no_file_has(path):
    for name in ("mine", "yours"):
        np.savez(path.with_name(f"{name}.npz"), inputs=INPUTS, targets=TARGETS)
    path.with_name("notes.txt").touch()
    for name, nearest in (("mime", "mine"), ("digit", "digits"), ("your.npz", "yours")):
        with pytest.raises(ValueError) as refused:
            data.load(name, path.parent)
        assert str(refused.value) == (
            "`name` must be one of digits (built in) or of the .npz files in "
            f"{path.parent} (mine, yours), got {name!r}; the nearest is {nearest!r}."
        )
    for number in range(30):
        path.with_name(f"{number:02}.npz").touch()
    with pytest.raises(ValueError, match=r" 18, 19 and 12 more\), got '../mine'"):
        data.load("../mine", path.parent)


def test_built_in_names_and_folders(path, tmp_path):
    info = data.load("digits", tmp_path).info
    assert info == data.load("digits").info
    with pytest.raises(ValueError, match=r"\(none\), got \['digits'\]"):
        data.load(["digits"], tmp_path)  # pyright: ignore
    np.savez(tmp_path / "digits.npz", inputs=INPUTS, targets=TARGETS)
    with pytest.raises(ValueError, match="'digits' is built in: give .*digits.npz"):
        data.load("digits", tmp_path)
    with pytest.raises(
        ValueError, match="digits.npz: expected a folder as `data_dir`, found a"
    ):
        data.load("digits", tmp_path / "digits.npz")
    with pytest.raises(
        ValueError, match="no: expected a folder as `data_dir`, found nothing"
    ):
        data.load("digits", tmp_path / "no")
