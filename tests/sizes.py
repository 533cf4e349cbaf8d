"""Numbers of every size, for Hypothesis."""

from hypothesis import strategies as st


def sizes(low, high):
    """Of both signs, between 10^low and 10^high."""
    return st.builds(
        lambda m, e, sign: sign * m * 10.0**e,
        st.floats(1, 9),
        st.floats(low, high),
        st.sampled_from((-1, 1)),
    )
