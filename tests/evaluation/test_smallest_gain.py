import numpy as np
import pytest

from ca_hrnet_plugin.evaluation.paired_bootstrap import Interval, Variance, over_runs
from ca_hrnet_plugin.evaluation.smallest_gain import smallest_gain

NUM_IMAGES = 1000


def experiment(gain, of_runs, of_images, num_runs, rng):
    """The interval of an experiment whose runs and images vary by these deviations around a true gain."""
    differences = gain + rng.normal(0, of_images) + rng.normal(0, of_runs, num_runs)
    return over_runs(differences, Variance('images', of_images**2, NUM_IMAGES - 1))


@pytest.mark.parametrize('num_runs', [3, 5, 10])
@pytest.mark.parametrize('of_images', [0.05, 0.2, 0.5])
def test_a_gain_that_is_promised_four_times_in_five_is_found_as_often(num_runs, of_images):
    rng, of_runs = np.random.default_rng(0), 0.3
    # What is promised by an experiment is promised from its own few runs.
    pilots = [experiment(0, of_runs, of_images, num_runs, rng) for _ in range(40)]
    gain = np.mean([smallest_gain(pilot) for pilot in pilots])
    found = np.mean([experiment(gain, of_runs, of_images, num_runs, rng).low > 0 for _ in range(2000)])
    assert 0.7 < found < 0.9


def test_the_gain_for_more_runs_is_that_of_an_experiment_with_as_many():
    rng = np.random.default_rng(0)
    promised = np.mean([smallest_gain(experiment(0, 0.3, 0.1, 3, rng), num_runs=10) for _ in range(40)])
    expected = np.mean([smallest_gain(experiment(0, 0.3, 0.1, 10, rng)) for _ in range(40)])
    assert promised == pytest.approx(expected, rel=0.15)
    assert promised < np.mean([smallest_gain(experiment(0, 0.3, 0.1, 3, rng)) for _ in range(40)]) / 2


def test_a_single_run_has_no_spread_to_promise_from():
    with pytest.raises(ValueError, match='two runs or more'):
        smallest_gain(Interval(0.0, -1.0, 1.0))
    with pytest.raises(ValueError, match='two runs or more'):
        smallest_gain(experiment(0, 0.3, 0.1, 3, np.random.default_rng(0)), num_runs=1)
