"""Optional dependencies: import one when it is needed, or say how to install it."""

import importlib
from types import ModuleType


def need(module: str, extra: str) -> ModuleType:
    """The module called `module`, which the extra `extra` of gdjax installs.

    Raises:
      ImportError: it is not installed; the message is the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise  # it is there, and something that it needs itself is not
        raise ImportError(
            f"this needs `{package}`: pip install 'gdjax[{extra}]'", name=package
        ) from error
