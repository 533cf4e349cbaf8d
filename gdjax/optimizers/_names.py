"""Which optimizers there are, as their own docstrings tell it."""

import inspect
import re


def optimizer_names() -> dict[str, tuple[str, str]]:
    """Every ready-made optimizer, with what it is and where it comes from.

    Returns:
      {name: (one sentence, reference)} in alphabetical order.

    Example:
      >>> for words in optimizer_names()["adam"]:
      ...     print(words)
      Step of Adam: the rate times the bias-corrected mean over the root mean square.
      Kingma and Ba (2014), arXiv:1412.6980.
    """
    from gdjax import optimizers  # the package that this file is a part of

    texts = {
        name: inspect.getdoc(getattr(optimizers, name)) or ""
        for name in sorted(optimizers.__all__)
    }
    return {
        name: (" ".join(text.split("\n\n")[0].split()), _reference(text))
        for name, text in texts.items()
        if text.startswith("Step")
    }


def _reference(text: str) -> str:
    """What stands beside and, indented, below "Reference:", without Sphinx's marks."""
    found = re.search(r"^References?:(.*(?:\n +.*|\n(?=\n* ))*)", text, re.M)
    parts = re.split(r"\n\s*\n", found[1] if found else "")
    words = "; ".join(" ".join(part.split()).rstrip(".") for part in parts) + "."
    words = re.sub(r"`([^<`]*?) <([^>]*)>`_", r"\1, \2", words).replace(" ,", ",")
    arxiv = r"https?://arxiv\.org/(?:abs|pdf)/([\d.]*\d)(?:\.pdf)?"
    return re.sub(arxiv, r"arXiv:\1", words)
