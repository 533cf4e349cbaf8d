"""What all pictures have in common."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def check_ending(path: str | os.PathLike[str]) -> None:
    """Raises ValueError unless it is that of a PNG or an SVG."""
    if os.path.splitext(path)[1] not in (".png", ".svg"):
        raise ValueError(f"`path` must end in .png or .svg, got {str(path)!r}.")


def plain(axes: "Axes") -> None:
    """A light grid, and no frame above and on the right."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
