"""The source of Python's standard library as text, at hand wherever Python is."""

import platform
import sysconfig
from pathlib import Path

from gdjax.data._sets import DataSet, Raw
from gdjax.data._text import characters, windows

# In ASCII, in Python 3.11 to 3.13, and none more than 6 % of the whole.
_MODULES = """
ast base64 bdb calendar cmd codecs configparser contextlib copy csv dataclasses
fileinput gettext gzip hashlib mimetypes modulefinder optparse os pickle plistlib pprint
profile queue selectors shutil smtplib socket socketserver string tempfile textwrap
threading trace uuid weakref webbrowser
""".split()


def data_set() -> DataSet:
    version = f"Python {platform.python_version()}"
    return DataSet(
        _read,
        source=f"{len(_MODULES)} modules of the standard library of {version}",
        licence="PSF License Agreement version 2",
        is_text=True,
        version=version,
    )


def _read(length: int | None) -> Raw:
    folder = Path(sysconfig.get_path("stdlib"))
    return windows([characters(folder / f"{m}.py") for m in _MODULES], length)
