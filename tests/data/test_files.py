"""Data sets in .npz files: what is read, and the sentence for each broken file."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

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
    rows = train.inputs.reshape(-1, 3)  # a feature is an entry of the last axis
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(rows.std(0), 1, rtol=1e-6)
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


@pytest.mark.parametrize("targets", [INPUTS[:, 0, 0], INPUTS[:, 1, :1], INPUTS[:, 0]])
def test_real_targets_are_standardised_and_come_back(path, targets):
    inputs = np.arange(N)[:, None]
    np.savez(path, inputs=inputs, targets=targets)
    train, *held_out, info = load(path)
    assert info.sizes == {"train": 28, "validation": 6, "test": 6}
    assert info.num_classes is None
    columns = targets.reshape(N, -1)
    np.testing.assert_allclose(train.targets.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(train.targets.std(0), 1, rtol=1e-6)
    z = np.concatenate([part.targets for part in (train, *held_out)])
    assert z.shape == columns.shape and z.dtype == np.float32
    rows = np.concatenate([part.inputs for part in (train, *held_out)])[:, 0].argsort()
    scale = info.target_std, info.target_mean
    kind = float if columns.shape[1] == 1 else tuple
    assert isinstance(scale[0], kind) and isinstance(scale[1], kind)
    back = z[rows] * np.asarray(scale[0]) + np.asarray(scale[1])
    np.testing.assert_allclose(back, columns, atol=1e-6)


def test_a_constant_target_comes_back(path):
    np.savez(path, inputs=INPUTS, targets=np.full(N, 0.1))
    train, *_, info = load(path)
    assert not train.targets.any()
    assert info.target_mean == pytest.approx(0.1) and info.target_std == 0.0


NAMINGS = [
    ("train_x", "train_y", "test_x", "test_y"),
    ("x_train", "y_train", "x_test", "y_test"),
]


def with_split(names, **changes):
    arrays = (INPUTS, TARGETS, INPUTS[:7] + 50, TARGETS[:7])
    return dict(zip(names, arrays, strict=True)) | changes


@pytest.mark.parametrize("names", NAMINGS)
def test_a_split_that_the_file_brings_is_kept(path, names):
    np.savez(path, **with_split(names))
    train, validation, test, info = load(path)
    assert info.sizes == {"train": 32, "validation": 8, "test": 7}
    np.testing.assert_array_equal(test.targets, TARGETS[:7])
    assert np.bincount(validation.targets).tolist() == [2, 2, 2, 2]
    # None of the test part, 50 higher, is elsewhere or in the scale.
    rows = train.inputs.reshape(-1, 3)
    np.testing.assert_allclose(rows.mean(0), 0, atol=1e-6)
    assert test.inputs.min() > 10 > validation.inputs.max()
    again = load(path, seed=1)
    np.testing.assert_array_equal(again.test.targets, test.targets)
    assert (again.validation.inputs[0] != validation.inputs[0]).any()


@pytest.mark.parametrize(
    "changes, expected, found",
    [
        ({"test_x": INPUTS[:6]}, "`test_y` of shape (6,)", "(7,)"),
        (
            {"test_x": INPUTS[:7, :1]},
            "`test_x` like `train_x`, of shape (40, 2, 3)",
            "(7, 1, 3)",
        ),
        ({"test_y": TARGETS[:7] / 1}, "`test_y` like `train_y`", "of shape (40,)"),
        ({"test_x": INPUTS[:0], "test_y": TARGETS[:0]}, "`test_x` of", "(0, 2, 3)"),
        ({"train_y": np.arange(N)}, "4 examples in `train_y`", "1 in the largest"),
    ],
)
def test_splits_that_are_refused(path, changes, expected, found):
    np.savez(path, **with_split(NAMINGS[0], **changes))
    assert_refused(path, expected, found)
    if changes.get("test_y") is not None:
        np.savez(path, **{k: x for k, x in changes.items() if k != "test_x"})
        assert_refused(path, "arrays `inputs` and", "`test_y`")


def jpeg(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


def with_jpegs(images, **changes):
    encoded = [jpeg(image) for image in images]
    data = np.frombuffer(b"".join(encoded), np.uint8)
    lengths = np.array([len(image) for image in encoded], np.int32)
    targets = np.arange(len(images)) % 2
    part = {"jpeg": data, "len": lengths, "y": targets}
    whole = {f"{of}_{k}": x for of in ("train", "test") for k, x in part.items()}
    return whole | changes


@pytest.mark.parametrize("channels", [1, 3])
def test_jpegs_are_decoded(path, channels):
    levels = np.arange(10, 250, 20, dtype=np.uint8)
    flat = np.ones((12, 8, 16, channels), np.uint8) * levels[:, None, None, None]
    np.savez(path, **with_jpegs(flat.squeeze(-1) if channels == 1 else flat))
    train, validation, test, info = load(path)
    assert info.sizes == {"train": 10, "validation": 2, "test": 12}
    assert test.inputs.shape == (12, 8, 16, channels)
    # An image of one colour survives the compression.
    got = test.inputs[:, 3, 5, 0].astype(np.float64)
    np.testing.assert_allclose((got - got[0]) / (got[1] - got[0]), range(12), atol=1e-5)
    assert np.ptp(test.inputs, axis=(1, 2, 3)).max() < 1e-6


GREY = np.random.default_rng(0).integers(0, 256, (8, 8, 8), np.uint8)
JPEGS = with_jpegs(GREY)


@pytest.mark.parametrize(
    "changes, expected, found",
    [
        (
            {"train_jpeg": JPEGS["train_jpeg"][:-1]},
            "bytes in `train_jpeg`, the sum",
            "",
        ),
        ({"test_len": JPEGS["test_len"][1:]}, "the sum of the lengths of 7 images", ""),
        ({"test_len": -JPEGS["test_len"]}, "the lengths of the images", "integers > 0"),
        ({"train_jpeg": np.ones(9)}, "bytes as `train_jpeg`", "float64 (9,)"),
        ({"train_len": np.roll(JPEGS["train_len"], 1)}, "as number 0 of `train", ""),
        ({"train_y": np.arange(3)}, "`train_y` of shape (8,)", "(3,)"),
        (
            {"train_jpeg": JPEGS["train_jpeg"] * 0},
            "a JPEG image as number 0 of `train_jpeg`",
            "",
        ),
        (
            with_jpegs([*GREY[:7], GREY[7, :4]]),
            "images of shape (8, 8, 1) in `train_jpeg`",
            "(4, 8, 1) as number 7",
        ),
    ],
)
def test_jpegs_that_are_refused(path, changes, expected, found):
    np.savez(path, **{**JPEGS, **changes})
    assert_refused(path, expected, found)


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
        ({"targets": TARGETS > 1}, "integers, the classes from 0, or reals", "bool"),
        ({"targets": TARGETS[1:] / 1}, "`targets` of shape (40,) or (40, k)", "(39,)"),
        ({"targets": np.ones((N, 0))}, "`targets` of shape (40,)", "(40, 0)"),
        ({"targets": np.ones((N, 1, 1))}, "`targets` of shape (40,)", "(40, 1, 1)"),
        (
            {"targets": TARGETS * np.nan},
            "`targets` that are finite in f32",
            "nan at [0]",
        ),
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


def test_too_few_real_targets(path):
    np.savez(path, inputs=INPUTS[:3], targets=INPUTS[:3, 0, 0])
    assert_refused(path, "4 or more examples", "3")


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
    path.with_name("notes.md").touch()
    for name, nearest in (("mime", "mine"), ("digit", "digits"), ("your.npz", "yours")):
        with pytest.raises(ValueError) as refused:
            data.load(name, path.parent)
        assert str(refused.value) == (
            "`name` must be one of digits, breast_cancer, wine, iris, diabetes, stdlib "
            f"(built in) or of the files in {path.parent} (mine, notes, yours), got "
            f"{name!r}; the nearest is {nearest!r}."
        )
    for number in range(30):
        path.with_name(f"{number:02}.npz").touch()
    with pytest.raises(ValueError, match=r" 18, 19 and 13 more\), got '../mine'"):
        data.load("../mine", path.parent)


def test_one_name_for_two_files(path):
    np.savez(path, inputs=INPUTS, targets=TARGETS)
    path.with_suffix(".txt").touch()
    with pytest.raises(ValueError, match=r"'mine' could be each of .*npz, .*txt: keep"):
        load(path)


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
