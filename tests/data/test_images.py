"""MNIST and CIFAR-10 in the files that people have, whole and broken."""

import functools
import gzip

import numpy as np
import pytest

from gdjax import data

RNG = np.random.default_rng(0)
DIGITS = RNG.integers(0, 256, (46, 28, 28), np.uint8)
LABELS = (np.arange(46) % 10).astype(np.uint8)
TRAIN = 40  # 4 of each digit
NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
PARTS = (DIGITS[:TRAIN], LABELS[:TRAIN], DIGITS[TRAIN:], LABELS[TRAIN:])
# Without the time, which two workers of pytest would not have in common.
gzipped = functools.partial(gzip.compress, mtime=0)


def idx(array):
    shape = np.array(array.shape, ">u4").tobytes()
    return bytes([0, 0, 8, array.ndim]) + shape + array.tobytes()


def npz(folder, names):
    np.savez(folder / "mnist.npz", **dict(zip(names, PARTS, strict=True)))


def plain(folder):
    for name, array in zip(NAMES, PARTS, strict=True):
        (folder / name).write_bytes(idx(array))


def packed(folder):
    (folder / "mnist").mkdir()
    for name, array in zip(NAMES, PARTS, strict=True):
        (folder / "mnist" / f"{name}.gz").write_bytes(gzipped(idx(array)))


def both(folder):
    plain(folder)
    (folder / f"{NAMES[0]}.gz").write_bytes(b"another")


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: npz(folder, ("train_x", "train_y", "test_x", "test_y")),
        lambda folder: npz(folder, ("x_train", "y_train", "x_test", "y_test")),
        plain,
        packed,
        both,
    ],
)
def test_mnist_is_the_same_from_every_kind_of_file(tmp_path, write):
    write(tmp_path)
    train, validation, test, info = data.load("mnist", tmp_path)
    assert info.sizes == {"train": 30, "validation": 10, "test": 6}
    assert info.num_classes == 10 and "LeCun" in info.source
    assert str(tmp_path) in info.source and info.licence.startswith("CC BY-SA 3.0")
    assert info.digest == DIGEST
    assert train.inputs.shape == (30, 28, 28, 1)
    assert np.bincount(validation.targets).tolist() == [1] * 10
    np.testing.assert_array_equal(test.targets, LABELS[TRAIN:])
    # One scale for all pixels, so that the test images tell it.
    assert_one_scale(test.inputs[..., 0], DIGITS[TRAIN:], train.inputs)


DIGEST = "2e3bce625c90a8e45ef05520b52d7e436f235366b744fbeb45116d9b1ba9955d"


def assert_one_scale(got, pixels, train):
    flat, x = got.ravel().astype(np.float64), pixels.ravel().astype(np.float64)
    slope, start = np.polyfit(x, flat, 1)
    np.testing.assert_allclose(flat, slope * x + start, atol=1e-5)
    assert abs(train.mean()) < 1e-5 and abs(train.std() - 1) < 1e-5


def refused(name, folder, path, expected, found):
    with pytest.raises(ValueError) as error:
        data.load(name, folder)
    message = str(error.value)
    assert message.startswith(f"{path}: expected ") and message.endswith(f"{found}.")
    assert expected in message and "\n" not in message


FEWER = DIGITS[: TRAIN - 1]
LARGE = np.zeros((4, 30, 30), np.uint8)


@pytest.mark.parametrize(
    "which, content, expected, found",
    [
        (0, b"", "starts with the bytes 00 00 08 03", "an empty file"),
        (0, b"<html>", "an idx file", "3c 68 74 6d"),
        (0, idx(LABELS), "the bytes 00 00 08 03", "00 00 08 01"),
        (1, idx(DIGITS), "the bytes 00 00 08 01", "00 00 08 03"),
        (2, idx(DIGITS)[:9], "a head of 16 bytes", "9 bytes"),
        (0, idx(DIGITS)[:-1], "36064 bytes of values", "36063"),
        (0, idx(DIGITS) + b"x", "of shape (46, 28, 28)", "36065"),
        (1, gzipped(idx(LABELS))[:-9], "a whole gzip file", "marker was reached"),
        (1, gzipped(idx(LABELS))[:15] + b"?" * 20, "a whole gzip file", ""),
        (1, b"\x1f\x8b\x08junk", "a whole gzip file", ""),
    ],
)
def test_idx_files_that_are_broken(tmp_path, which, content, expected, found):
    plain(tmp_path)
    path = tmp_path / NAMES[which]
    path.write_bytes(content)
    refused("mnist", tmp_path, path, expected, found)


def test_mnist_that_is_not_mnist(tmp_path):
    missing = "mnist.npz or the four idx files, train-images-idx3-ubyte and so on"
    refused("mnist", tmp_path, tmp_path, missing, "none of them")
    with pytest.raises(
        ValueError, match="`data_dir` must be the folder with mnist.npz"
    ):
        data.load("mnist")
    plain(tmp_path)
    (tmp_path / NAMES[0]).write_bytes(idx(FEWER))
    refused("mnist", tmp_path, tmp_path, f"`{NAMES[1]}` of shape (39,)", "(40,)")
    for i in (0, 2):
        (tmp_path / NAMES[i]).write_bytes(
            idx(np.zeros((40 - 17 * i, 30, 30), np.uint8))
        )
    refused("mnist", tmp_path, tmp_path, "images of shape [n, 28, 28]", "(46, 30, 30)")
    plain(tmp_path)
    (tmp_path / NAMES[3]).write_bytes(idx(LABELS[TRAIN:] + 5))
    refused("mnist", tmp_path, tmp_path, "digits from 0 to 9", "10")
    (tmp_path / NAMES[3]).unlink()
    gone = tmp_path / f"{NAMES[3]}.gz"
    refused("mnist", tmp_path, gone, "an idx file", "nothing")
    npz(tmp_path, ("train_x", "train_y", "test_x", "test_y"))
    with pytest.raises(ValueError, match="'mnist' could be each of .*mnist.npz, "):
        data.load("mnist", tmp_path)


PHOTOS = RNG.integers(0, 256, (46, 32, 32, 3), np.uint8)
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4")
BATCHES = (*BATCHES, "data_batch_5", "test_batch")


def batches(folder):
    """8 images in each batch for training, 6 in that for testing."""
    folder.mkdir(exist_ok=True)
    planes = PHOTOS.transpose(0, 3, 1, 2).reshape(46, -1)
    records = np.concatenate([LABELS[:, None], planes], axis=1)
    for i, name in enumerate(BATCHES):
        (folder / f"{name}.bin").write_bytes(records[8 * i : 8 * i + 8].tobytes())


@pytest.mark.parametrize("inner", ["", "cifar-10-batches-bin"])
def test_cifar10_from_its_batches(tmp_path, inner):
    batches(tmp_path / inner)
    train, validation, test, info = data.load("cifar10", tmp_path)
    assert info.sizes == {"train": 30, "validation": 10, "test": 6}
    assert info.num_classes == 10 and "Krizhevsky" in info.source
    np.testing.assert_array_equal(test.targets, LABELS[TRAIN:])
    for channel in range(3):
        assert_one_scale(
            test.inputs[..., channel],
            PHOTOS[TRAIN:, ..., channel],
            train.inputs[..., channel],
        )


@pytest.mark.parametrize(
    "change, expected, found",
    [
        (lambda x: x[:-1], "records of 3073 bytes", "24583 bytes"),
        (lambda x: b"", "records of 3073 bytes", "0 bytes"),
        (lambda x: b"\x0a" + x[1:], "classes from 0 to 9", "10"),
        (None, "a batch of CIFAR-10", "nothing"),
    ],
)
def test_batches_that_are_broken(tmp_path, change, expected, found):
    batches(tmp_path)
    path = tmp_path / "data_batch_3.bin"
    whole = path.read_bytes()
    path.unlink() if change is None else path.write_bytes(change(whole))
    refused("cifar10", tmp_path, path, expected, found)


def test_cifar10_that_is_not_there_or_in_another_file(tmp_path):
    refused("cifar10", tmp_path, tmp_path, "cifar10.npz or the six", "none of them")
    np.savez(tmp_path / "cifar10.npz", inputs=PHOTOS, targets=LABELS)
    assert data.load("cifar10", tmp_path).train.inputs.shape[1:] == (32, 32, 3)
