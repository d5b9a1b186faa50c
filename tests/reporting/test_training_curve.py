import re

import numpy as np
import pytest

from ca_hrnet_plugin.reporting import plot_training_curve
from ca_hrnet_plugin.reporting.work_dir import read_training_log


def iterations(epochs, every=10, per_epoch=40, loss=1.0):
    return [
        dict(lr=1e-3, loss=loss, acc_pose=0.5, epoch=epoch, iter=number, step=number)
        for epoch in epochs
        for number in range((epoch - 1) * per_epoch + every, epoch * per_epoch + 1, every)
    ]


def validation(epoch, ap):
    return {'coco/AP': ap, 'step': epoch}


def panel(figure, title):
    return next(axes for axes in figure.axes if axes.get_title().startswith(title))


def test_a_resumed_run_continues_and_keeps_what_it_logged_again(write_scalars):
    # Killed in epoch 4 after a checkpoint of epoch 2, and resumed there with another logging interval.
    first = [*iterations(range(1, 4), loss=1.0), validation(3, 0.1), *iterations([4], loss=1.0)]
    write_scalars('20260101_000000', first)
    work_dir = write_scalars('20260102_000000', [*iterations(range(3, 6), every=20, loss=2.0), validation(5, 0.3)])
    log = read_training_log(work_dir)
    assert [record['iter'] for record in log.train] == [*range(10, 81, 10), *range(100, 201, 20)]
    assert [record['loss'] for record in log.train] == [1.0] * 8 + [2.0] * 6
    assert [(record['epoch'], record['coco/AP']) for record in log.val] == [(5, 0.3)]


def test_the_curve_has_ap_in_percent_at_the_epochs_of_validation(write_scalars):
    records = []
    for epoch in range(1, 7):
        records += iterations([epoch], loss=1 / epoch)
        records += [validation(epoch, epoch / 10)] if epoch % 2 == 0 else []
    records.append(validation(6, -1))  # on data without people
    figure = plot_training_curve({'HRNet': write_scalars('a/20260101_000000', records)})
    (line,) = panel(figure, 'AP').lines
    np.testing.assert_allclose(line.get_xydata(), [(2, 20), (4, 40), (6, 60)])
    logged, means = panel(figure, 'Loss').lines
    np.testing.assert_allclose(logged.get_xdata(), np.arange(1, 25) / 4, err_msg='four logged iterations an epoch')
    np.testing.assert_allclose(means.get_xydata(), [(epoch - 0.5, 1 / epoch) for epoch in range(1, 7)])


@pytest.mark.parametrize(('suffix', 'start'), [('png', b'\x89PNG'), ('pdf', b'%PDF')])
def test_the_picture_is_in_the_format_of_its_suffix(tool, write_scalars, tmp_path, suffix, start):
    work_dir = write_scalars('20260101_000000', iterations([1, 2]))
    out = tmp_path / f'new_folder/curve.{suffix}'
    assert tool('plot_training_curve', f'A={work_dir}', '--out', out)[0] == 0
    assert out.read_bytes().startswith(start)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize(
    ('content', 'problem'),
    [
        ('', 'no scalars'),
        ('{"iter": 1', 'line 1 of .* is not JSON'),
        ('{"loss": "1", "iter": 1}', "line 1 of .* is not a record .*'loss': '1'"),
    ],
)
def test_invalid_scalars_are_refused_in_one_line(tool, tmp_path, content, problem):
    (tmp_path / 'scalars.json').write_text(content)
    code, _, _ = tool('plot_training_curve', f'A={tmp_path}/scalars.json', '--out', tmp_path / 'curve.png')
    assert re.search(problem, code)
    assert '\n' not in code
    assert not (tmp_path / 'curve.png').exists()
