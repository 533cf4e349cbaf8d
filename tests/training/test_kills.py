"""A run that is killed anywhere, again and again, ends as if it never had been."""

import pytest
from killing import JOBS, Killer


@pytest.mark.long
@pytest.mark.parametrize("name", JOBS)
def test_a_run_that_is_killed_ten_times(name, tmp_path):
    """Runs are killed until there were ten; each must end as the whole one did."""
    killer, kills, seed = Killer(name, tmp_path), 10, 0
    while kills > 0:
        moments, left = killer.kill(min(4, kills), seed)
        other = [name for name in killer.whole if left.get(name) != killer.whole[name]]
        assert not other and left.keys() == killer.whole.keys(), (seed, moments, other)
        kills -= len(moments)
        seed += 1
