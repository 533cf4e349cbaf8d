"""`optimizer_names` tells of every optimizer what it is and where it comes from."""

import inspect

import gdjax as gd
from gdjax.optimizers._names import _reference


def test_every_optimizer_is_told():
    names = gd.optimizer_names()
    assert list(names) == sorted(set(gd.optimizers.__all__) - {"optimizer_names"})
    assert {"adam", "lion", "sm3", "lbfgs", "prodigy"} <= set(names)
    for name, (sentence, reference) in names.items():
        assert sentence.startswith("Step") and sentence.endswith("."), name
        assert sentence in " ".join(inspect.getdoc(getattr(gd, name)).split()), name
        assert any(c.isdigit() for c in reference), name  # a year at least
        assert len(reference) < 500 and "`_" not in reference, name


def test_references_are_read_in_both_tones():
    assert gd.optimizer_names()["adam"] == (
        "Step of Adam: the rate times the bias-corrected mean over the root mean "
        "square.",
        "Kingma and Ba (2014), arXiv:1412.6980.",
    )
    assert gd.optimizer_names()["sm3"] == (
        "Step: The SM3 optimizer.",
        "Anil et al, Memory-Efficient Adaptive Optimization, arXiv:1901.11150, 2019.",
    )
    two = "References:\n  A, `b\n  <https://arxiv.org/pdf/1.2.pdf>`_, 1\n\n  C, 2.\n\nD"
    assert _reference(two) == "A, b, arXiv:1.2, 1; C, 2."
    assert _reference("One sentence.\n\nNothing more.") == "."
