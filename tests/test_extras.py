"""Optional dependencies: the command that installs one, only where it is missing."""

import sys

import pytest

from gdjax._extras import need


def test_a_module_that_is_there_comes_back():
    assert need("xml.dom", "run") is sys.modules["xml.dom"]


@pytest.mark.parametrize("module", ["surely_not_there", "surely_not_there.inside"])
def test_a_missing_module_is_answered_with_the_command(module):
    with pytest.raises(ImportError) as caught:
        need(module, "run")
    assert str(caught.value).endswith("`surely_not_there`: pip install 'gdjax[run]'")
    assert caught.value.name == "surely_not_there"


def test_a_broken_installation_is_not_called_missing(tmp_path, monkeypatch):
    """Another module that this one needs, or an error in it, is not our message."""
    (tmp_path / "needs_more.py").write_text("import surely_not_there\n")
    (tmp_path / "is_broken.py").write_text(
        "raise ImportError('libfoo.so is missing')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        ModuleNotFoundError, match="^No module named 'surely_not_there'"
    ):
        need("needs_more", "run")
    with pytest.raises(ImportError, match="^libfoo.so is missing"):
        need("is_broken", "run")
