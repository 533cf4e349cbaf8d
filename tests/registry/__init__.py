"""One line a public transform: how `gd.testing.check` is called on it."""

from registry import lifted, links, modern, signs, squares

CHECKS = {
    **lifted.CHECKS,
    **links.CHECKS,
    **modern.CHECKS,
    **signs.CHECKS,
    **squares.CHECKS,
}
LONG = set(lifted.CHECKS) - lifted.SHORT  # one wrapper for all: some suffice
