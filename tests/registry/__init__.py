"""One line a public transform: how `gd.testing.check` is called on it."""

from registry import links

CHECKS = {**links.CHECKS}
