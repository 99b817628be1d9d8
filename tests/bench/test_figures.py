"""The arithmetic behind the figures that `python -m bench` prints."""

import pytest

from bench.figures import Figures, marginal, table
from bench.measure import own_peak


def test_one_disturbed_run_does_not_move_the_median() -> None:
    assert Figures((1.0, 9.0, 1.2)).median == 1.2
    assert Figures((1.0, 9.0, 1.2)).spread(1) == ("1.0", "1.2", "9.0")


def test_a_ratio_is_that_of_the_least_disturbed_runs() -> None:
    assert Figures((60.0, 50.0, 4.0)).to(Figures((9.0, 2.0, 3.0))) == 2.0


def test_figures_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="measure at least once"):
        Figures(())


def test_one_more_costs_the_same_everywhere_when_growth_is_linear() -> None:
    assert marginal((1, 10, 50), (1.5, 6.0, 26.0)) == (0.5, 0.5)


def test_one_more_costs_more_later_when_growth_is_quadratic() -> None:
    assert marginal((1, 10, 50), (1.0, 100.0, 2500.0)) == (11.0, 60.0)


def test_a_table_aligns_numbers_to_the_right_and_leaves_missing_cells_empty() -> None:
    assert table(("", "s", "MB"), (("make up", "2.0", "110"), ("destroy", "12.5"))).splitlines() == [
        "            s   MB",
        "-------  ----  ---",
        "make up   2.0  110",
        "destroy  12.5",
    ]


def test_this_process_has_held_some_memory_where_that_is_known() -> None:
    assert own_peak() == 0 or 5 < own_peak() < 5000
