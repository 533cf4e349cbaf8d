"""A run that is killed anywhere, again and again, ends as if it never had been."""

import pytest
from killing import JOBS, Killer


def assert_the_same(killer, times, seed):
    moments, left = killer.kill(times, seed)
    other = [name for name in killer.whole if left.get(name) != killer.whole[name]]
    assert not other and left.keys() == killer.whole.keys(), (seed, moments, other)
    return len(moments)


@pytest.mark.parametrize(("name", "times"), [("digits_mlp", 2), (list(JOBS)[1], 1)])
def test_a_killed_run(name, times, tmp_path):
    killer = Killer(name, tmp_path)
    assert_the_same(killer, times, 0)


@pytest.mark.long
@pytest.mark.parametrize("name", JOBS)
def test_a_run_that_is_killed_ten_times(name, tmp_path):
    killer, kills, seed = Killer(name, tmp_path), 0, 1
    while kills < 10:
        kills += assert_the_same(killer, min(4, 10 - kills), seed)
        seed += 1
