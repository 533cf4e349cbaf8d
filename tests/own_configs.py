"""The project's own configs, as the command line reads them."""

import importlib.util
from pathlib import Path

from ml_collections import ConfigDict

FOLDER = Path(__file__).parents[1] / "configs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def config(name: str) -> ConfigDict:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config()
