import pytest

from ca_hrnet_plugin.evaluation.paired_bootstrap import Interval, Variance
from ca_hrnet_plugin.reporting.results import Result
from ca_hrnet_plugin.reporting.table import Row
from ca_hrnet_plugin.reporting.verdict import verdict

SPREAD = (Variance('runs', 1e-6, 2), Variance('images', 1e-6, 999))


def row(interval, covered='images and runs', figure='AP', num_runs=3):
    return Row(Result('CA-HRNet', '', {figure: 0.5}, num_runs=num_runs), 'HRNet', {}, {figure: interval}, covered)


@pytest.mark.parametrize(
    ('interval', 'beginning'),
    [
        (
            (0.001, -0.002, 0.004),
            'CA-HRNet gains 0.1 AP, 95 % interval -0.2 to +0.4 over images and runs: no gain is shown. ',
        ),
        (
            (0.011, 0.002, 0.02),
            'CA-HRNet gains 1.1 AP, 95 % interval +0.2 to +2.0 over images and runs: a gain is shown. ',
        ),
        (
            (-0.0001, -0.003, 0.004),
            'CA-HRNet gains 0.0 AP, 95 % interval -0.3 to +0.4 over images and runs: no gain is shown. ',
        ),
        (
            (-0.011, -0.02, -0.002),
            'CA-HRNet loses 1.1 AP, 95 % interval -2.0 to -0.2 over images and runs: a loss is shown. ',
        ),
    ],
)
def test_a_verdict_says_what_is_shown_and_what_could_be(interval, beginning):
    text = verdict(row(Interval(*interval, SPREAD)), 'AP')
    assert text.startswith(f'{beginning}With this spread, three seeds can show a gain of ')
    three, ten = (float(part.split()[0].rstrip('.;')) for part in (text.split(' gain of ')[1], text.split('show ')[-1]))
    assert 0 < ten < three


def test_a_lower_error_is_a_gain():
    text = verdict(row(Interval(-0.2, -0.3, -0.1, SPREAD[:1]), 'runs', 'EPE'), 'EPE')
    assert text.startswith('CA-HRNet gains 0.2 EPE, 95 % interval -0.3 to -0.1 over runs: a gain is shown.')


def test_one_run_each_leaves_the_spread_over_runs_open():
    text = verdict(row(Interval(0.01, 0.002, 0.02, SPREAD[1:]), 'images', num_runs=1), 'AP')
    assert text.endswith('a gain is shown. Another seed can change this: run at least three.')
    text = verdict(row(Interval(0.01, float('nan'), float('nan')), 'images', num_runs=1), 'AP')
    assert 'nothing is shown' in text


def test_folds_are_not_compared_with_more_folds():
    text = verdict(row(Interval(0.001, -0.002, 0.004, (Variance('folds', 1e-6, 4),)), 'images and folds'), 'AP', 'fold')
    assert 'these folds can show a gain of' in text
    assert 'ten' not in text
