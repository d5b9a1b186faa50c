"""The smallest gain that an experiment of this size can show."""

import numpy as np
from scipy import optimize, stats
from scipy.special import gammaln

from .paired_bootstrap import Interval, Variance

NUM_QUANTILES = 1000  # of a variance's estimate, to average over


def smallest_gain(interval: Interval, num_runs: int | None = None, power: float = 0.8) -> float:
    """The smallest true gain that the same experiment, done again, would show with this probability.

    A gain is shown if the 95 % interval of the difference is above 0.

    Args:
        interval (Interval): The interval of a difference, whose variances are taken to be the true ones. A standard
            deviation that is estimated from few runs is too small on average, and is corrected for that.
        num_runs (int, optional): Another number of runs, at least two.
        power (float): How often the gain should be shown.

    Raises:
        ValueError: The interval has no variances, or there is one run only.
    """
    variances = [_of_runs(variance, num_runs) for variance in interval.variances]
    if not variances or min(variance.freedom for variance in variances) < 1:
        raise ValueError(f'{interval}, num_runs={num_runs}: give an interval with variances, and two runs or more')
    deviation = sum(variance.value for variance in variances) ** 0.5
    if deviation == 0:
        return 0.0
    half_widths = _half_widths(variances)
    return float(
        optimize.brentq(
            lambda gain: stats.norm.cdf((gain - half_widths) / deviation).mean() - power, 0, 1e3 * half_widths.max()
        )
    )


def _of_runs(variance: Variance, num_runs: int | None) -> Variance:
    """The square of the unbiased standard deviation, for another number of runs if the variance is over runs."""
    source, value, freedom = variance
    # The mean of a sample standard deviation relative to the true one: c4 in statistical quality control.
    bias = np.sqrt(2 / freedom) * np.exp(gammaln((freedom + 1) / 2) - gammaln(freedom / 2))
    value /= bias**2
    if source == 'runs' and num_runs:
        return Variance(source, value * (freedom + 1) / num_runs, num_runs - 1)
    return Variance(source, value, freedom)


def _half_widths(variances: list[Variance]) -> np.ndarray:
    """Quantiles of the half width of the interval, (NUM_QUANTILES,): the smallest sample decides how much it varies."""
    fewest = min(variance.freedom for variance in variances)
    probabilities = (np.arange(NUM_QUANTILES) + 0.5) / NUM_QUANTILES
    estimated = stats.chi2.ppf(probabilities, fewest) / fewest
    squares = np.zeros(NUM_QUANTILES)
    for _, value, freedom in variances:
        square = stats.t.ppf(0.975, freedom) ** 2 * value
        squares += square * estimated if freedom == fewest else square
    return np.sqrt(squares)
