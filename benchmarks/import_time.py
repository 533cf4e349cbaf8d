"""Time to `import gdjax` over time to `import optax`, each in a fresh process.

python benchmarks/import_time.py
"""

import subprocess
import sys

from _timing import paired, spread

PAIRS = 15


def fresh(module: str):
    code = [sys.executable, "-c", f"import {module}"]
    return lambda: subprocess.run(code, check=True).returncode


def main() -> None:
    ours, theirs = fresh("gdjax"), fresh("optax")
    ours()
    theirs()
    mine, peer, ratios = paired(ours, theirs, PAIRS)
    print("| import gdjax | import optax | ratio |\n|---|---|---|")
    print(f"| {mine:.2f} s | {peer:.2f} s | {spread(ratios)} |")


if __name__ == "__main__":
    main()
