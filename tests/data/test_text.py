"""Text: windows with the next characters, documents in one split, broken files."""

import argparse
import gzip
import inspect
import platform
import queue
import threading
import webbrowser

import numpy as np
import pytest

from gdjax import data

LETTERS = np.random.default_rng(0).integers(0x61, 0x7B, 1000).tolist()
TEXT = "".join(map(chr, LETTERS)) + "é€🙂"


@pytest.fixture(scope="module")
def stdlib():
    return data.load("stdlib")


def written(path, text=TEXT, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def decoded(tokens, alphabet):
    return "".join(alphabet[i] for i in tokens)


def test_windows_of_a_text_file(tmp_path):
    path = written(tmp_path / "book.txt")
    *parts, info = data.load("book", tmp_path, sequence_length=9)
    assert info.alphabet == "".join(sorted(set(TEXT)))
    assert info.num_classes == len(info.alphabet)
    assert (info.source, info.licence) == (f"the file {path}", "not stated")
    # Pieces of 50 characters have 5 windows each: 9 and the next one in each.
    assert info.sizes == {"train": 70, "validation": 15, "test": 15}
    pieces = [TEXT[i * 1003 // 20 : (i + 1) * 1003 // 20] for i in range(20)]
    windows = {p[i : i + 10]: n for n, p in enumerate(pieces) for i in range(0, 45, 9)}
    owners = []
    for inputs, targets in parts:
        assert inputs.dtype == targets.dtype == np.int32
        np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
        shown = [
            decoded([*x, y[-1]], info.alphabet)
            for x, y in zip(inputs, targets, strict=True)
        ]
        owners.append({windows[text] for text in shown})
    assert [len(pieces) for pieces in owners] == [14, 3, 3]
    assert set.union(*owners) == set(range(20))


def test_the_digest_tells_texts_and_lengths_apart(tmp_path):
    def digest(text=TEXT, **options):
        written(tmp_path / "book.txt", text)
        return data.load("book", tmp_path, **options).info.digest

    short = {"sequence_length": 9}
    shifted = "".join(chr(ord(c) + 1) for c in TEXT)  # the same numbers
    digests = [
        digest(**short),
        digest(shifted, **short),
        digest(**short, seed=1),
        digest(sequence_length=10),
    ]
    assert len(set(digests)) == 4


def test_a_byte_order_mark_is_no_character(tmp_path):
    written(tmp_path / "book.txt", encoding="utf-8-sig")
    assert "\ufeff" not in data.load("book", tmp_path, sequence_length=9).info.alphabet


@pytest.mark.parametrize(
    "content, expected, found",
    [
        (b"abc\xff" * 900, "text in UTF-8", "the byte 0xff at 3"),
        (TEXT.encode("utf-16"), "text in UTF-8", "the byte 0xff at 0"),
        (TEXT.encode()[:-1], "text in UTF-8", "the byte 0xf0 at 1005"),
        (b"", "at least 200 characters for this `sequence_length`", "0"),
        (b"a" * 199, "at least 200 characters for this `sequence_length`", "199"),
    ],
)
def test_files_that_are_broken(tmp_path, content, expected, found):
    path = tmp_path / "book.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        data.load("book", tmp_path, sequence_length=9)
    assert str(error.value) == f"{path}: expected {expected}, found {found}."


def test_a_folder_that_is_called_like_a_text(tmp_path):
    (tmp_path / "book.txt").mkdir()
    with pytest.raises(ValueError, match="expected a text file, found a folder"):
        data.load("book", tmp_path)


def test_the_standard_library(stdlib):
    info = stdlib.info
    assert info.alphabet == "\n" + "".join(map(chr, range(32, 127)))
    assert info.num_classes == 96
    total = sum(info.sizes.values())
    assert 128 * total > 1_000_000
    for part, share in (("train", 0.7), ("validation", 0.15), ("test", 0.15)):
        assert abs(info.sizes[part] / total - share) < 0.03
    version = f"Python {platform.python_version()}"
    assert info.digest.endswith(f" {version}") and info.source.endswith(version)
    assert len(info.digest.split()[0]) == 64
    assert info.licence == "PSF License Agreement version 2"
    for inputs, targets in stdlib[:3]:
        assert inputs.shape == targets.shape == (len(inputs), 128)
        np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
        assert inputs.min() >= 0 and inputs.max() < 96


@pytest.mark.parametrize("module", [argparse, gzip, queue, threading, webbrowser])
def test_a_module_is_in_one_split_or_none(stdlib, module):
    source = inspect.getsource(module)
    windows = {source[i : i + 128] for i in range(0, len(source) - 128, 128)}
    found = [
        len(windows & {decoded(x, stdlib.info.alphabet) for x in part.inputs})
        for part in stdlib[:3]
    ]
    whole = 0 if module is argparse else len(windows)
    assert sorted(found) == [0, 0, whole]


def test_lengths_that_are_refused():
    for length, error, match in (
        (0, ValueError, r"`sequence_length` must lie in \[1, "),
        (2.0, TypeError, "`sequence_length` must be a Python integer"),
        (
            60_000,
            ValueError,
            "must leave windows for each split of the text, got 60000",
        ),
        (10**6, ValueError, "'train': 0, 'validation': 0, 'test': 0}"),
    ):
        with pytest.raises(error, match=match):
            data.load("stdlib", sequence_length=length)
    with pytest.raises(ValueError, match="must be None for 'digits', which is no text"):
        data.load("digits", sequence_length=128)
