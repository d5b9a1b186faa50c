"""What a comparison shows, in a sentence: the gain, how sure it is, and what gain could have been shown."""

from ..evaluation.smallest_gain import smallest_gain
from .table import Row

LOWER_IS_BETTER = ('NME', 'EPE', 'MPJPE', 'P-MPJPE', 'N-MPJPE')  # of MMPose's evaluators
MORE_RUNS = 10
NUMBERS = ('no', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten')


def verdict(row: Row, figure: str, unit: str = 'seed') -> str:
    """A sentence or two on a network compared with its baseline.

    Args:
        row (Row): The network's row of :func:`compare`, with intervals.
        figure (str): The figure to judge by, such as ``'AP'``.
        unit (str): What the runs differ in, ``'seed'`` or ``'fold'``.
    """
    name, interval = row.result.name, row.intervals.get(figure)
    if interval is None or not interval.is_known:
        return f'{name}: no interval, so nothing is shown. Run at least three {unit}s, on more images.'
    in_percent = row.result.evaluations or figure == 'AP'
    form = '{:.1f}' if in_percent else '{:.4g}'
    signed = form.replace(':', ':+')
    difference, low, high = (100 * value if in_percent else value for value in interval[:3])
    gain = -difference if _lower_is_better(figure) else difference
    gains = 'gains' if float(form.format(gain)) >= 0 else 'loses'  # after rounding
    text = (
        f'{name} {gains} {form.format(abs(difference))} {figure}, 95 % interval {signed.format(low)} to '
        f'{signed.format(high)} over {row.covered}: {_conclusion(low, high, figure)}.'
    )
    smallest = smallest_gain_of(row, figure)
    if smallest is None:
        return f'{text} Another {unit} can change this: run at least three.'
    if smallest == 0:
        return f'{text} The difference in {figure} is the same for all runs, so there is no spread to judge by.'
    scale = 100 if in_percent else 1
    num_runs = max(row.result.num_runs, 1)
    if unit == 'fold':
        return f'{text} With this spread, these folds can show a gain of {form.format(scale * smallest)}.'
    text += f' With this spread, {_number(num_runs)} seeds can show a gain of {form.format(scale * smallest)}'
    if num_runs >= MORE_RUNS:
        return f'{text}.'
    more = form.format(scale * smallest_gain(interval, MORE_RUNS))
    return f'{text}; {_number(MORE_RUNS)} would show {more}.'


def smallest_gain_of(row: Row, figure: str) -> float | None:
    """The :func:`smallest_gain` of a row; None with one run each, whose spread is unknown."""
    interval = row.intervals.get(figure)
    if interval is None or not interval.is_known or row.covered == 'images':
        return None
    return smallest_gain(interval)


def _conclusion(low: float, high: float, figure: str) -> str:
    if _lower_is_better(figure):
        low, high = -high, -low
    if low > 0:
        return 'a gain is shown'
    return 'a loss is shown' if high < 0 else 'no gain is shown'


def _lower_is_better(figure: str) -> bool:
    return figure.rpartition('/')[2] in LOWER_IS_BETTER


def _number(number: int) -> str:
    return NUMBERS[number] if number < len(NUMBERS) else str(number)
