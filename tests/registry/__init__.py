"""One line a public transform: how `gd.testing.check` is called on it."""

from registry import (
    averages,
    clips,
    guards,
    lifted,
    links,
    modern,
    regularisers,
    signs,
    squares,
    wrappers,
)

CHECKS = {
    **averages.CHECKS,
    **clips.CHECKS,
    **guards.CHECKS,
    **lifted.CHECKS,
    **links.CHECKS,
    **modern.CHECKS,
    **regularisers.CHECKS,
    **signs.CHECKS,
    **squares.CHECKS,
    **wrappers.CHECKS,
}
# Of one wrapper around many, and of options of one function, some suffice.
LONG = (
    averages.LONG
    | clips.LONG
    | set(lifted.CHECKS) - lifted.SHORT
    | regularisers.LONG
    | wrappers.LONG
)
LONG |= {name for name in CHECKS if ", " in name}
