import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from coco_stats import coco_stats
from mmpose.apis import init_model
from random_people import make_detections

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.evaluation import AREAS, evaluate_results, level_splits, paired_bootstrap
from ca_hrnet_plugin.reporting import compare, format_tables, read_protocol, read_result
from ca_hrnet_plugin.reporting.work_dir import read_metrics

PAPER_COLUMNS = ['AP', 'AP50', 'AP75', 'APM', 'APL', 'AR', 'AR50', 'AR75', 'ARM', 'ARL']


def csv_rows(text):
    return {row.pop(''): row for row in csv.DictReader(io.StringIO(text))}


def numbers(row):
    return [float(row[name]) for name in PAPER_COLUMNS]


def coco_metrics(ap, **more):
    return {'coco/AP': ap, 'coco/AP .5': ap + 0.1, 'coco/AR': ap + 0.05, 'time': 3.0, **more}


def test_the_command_prints_the_figures_of_coco_eval_in_percent(tool, two_networks):
    ann_file, base, better = two_networks
    code, out, _ = tool(
        *('benchmark_table', f'HRNet={base}', f'CA-HRNet={better}', '--ann-file', ann_file),
        *('--resamples', 0, '--format', 'csv'),
    )
    assert code == 0
    rows = csv_rows(out)
    expected = {name: 100 * coco_stats(ann_file, path) for name, path in (('HRNet', base), ('CA-HRNet', better))}
    for name, stats in expected.items():
        assert list(rows[name]) == PAPER_COLUMNS
        assert numbers(rows[name]) == pytest.approx(stats, abs=0.0501)
    difference = rows['CA-HRNet - HRNet']
    assert numbers(difference) == pytest.approx(expected['CA-HRNet'] - expected['HRNet'], abs=0.0501)
    assert difference['AP'].startswith('+'), 'a gain has its sign'


def test_intervals_are_those_of_the_paired_bootstrap(two_networks, protocol):
    ann_file, base, better = two_networks
    _, row = compare([read_result(path, path, protocol, level_splits()) for path in (base, better)], 20)
    pair = [evaluate_results(ann_file, path, level_splits()) for path in (base, better)]
    expected = paired_bootstrap(*pair, 20)
    assert row.intervals['AP (crowd medium)'].is_known
    for name, interval in row.intervals.items():
        assert interval[:3] == pytest.approx(expected[name][:3], nan_ok=True)
        assert row.differences[name] == interval.difference


def test_several_runs_are_a_row_of_their_means_and_deviations(two_networks, protocol):
    ann_file, *results = two_networks
    runs = read_result('A', Path(ann_file).parent / '*.keypoints.json', protocol)
    rows = csv_rows(format_tables(compare([runs]), 'csv'))
    stats = 100 * np.array([coco_stats(ann_file, path) for path in results])
    assert numbers(rows['A']) == pytest.approx(stats.mean(0), abs=0.0501)
    assert numbers(rows['A, deviation of 2 runs']) == pytest.approx(stats.std(0, ddof=1), abs=0.0501)


def test_runs_are_paired_by_what_the_pattern_matched(two_networks, protocol, tmp_path):
    ann_file, *results = two_networks
    # Sorted by name, those of A are 1 and 10, and those of B 10 and 1.
    folders = ['A/1', 'A/10', 'B/10th', 'B/1th', 'C/1', 'C/2']
    for folder, result in zip(folders, [*results, *results, *results], strict=True):
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(result, tmp_path / folder / 'results.json')
    patterns = dict(A='A/*', B='B/*th', C='C/*', D='A/1')
    rows = {name: read_result(name, f'{tmp_path}/{runs}/results.json', protocol) for name, runs in patterns.items()}

    _, row = compare([rows['A'], rows['B']], 20)
    worse, better = (evaluate_results(ann_file, path, AREAS) for path in results)
    expected = paired_bootstrap([better, worse], [worse, better], 20)['AP']
    assert row.intervals['AP'][:3] == pytest.approx(expected[:3])
    for other, runs in dict(C='1, 2', D='one').items():
        with pytest.raises(ValueError, match=f'runs do not pair: A has 1, 10 and {other} has {runs}: give'):
            compare([rows['A'], rows[other]])


def test_levels_have_their_counts_and_an_empty_one_is_a_dash(two_networks, write_json):
    ann_file, base, _ = two_networks
    dataset = json.loads(Path(ann_file).read_text())
    for annotation in dataset['annotations']:  # everything visible, as in some images of CrowdPose
        annotation['keypoints'][2::3] = [2 * (v > 0) for v in annotation['keypoints'][2::3]]
    ann_file = write_json('all_visible.json', dataset)
    rows = compare([read_result('A', base, read_protocol(ann_file=ann_file), [*AREAS, *level_splits()])])
    heading, _, counts, figures = format_tables(rows, levels=level_splits()).split('\n\n')[1].splitlines()
    columns = [part.strip() for part in heading.split('  ') if part.strip()]
    counts = dict(zip(columns[1:], counts.split()[1:], strict=True))
    figures = dict(zip(columns[1:], figures.split()[1:], strict=True))

    num_hard = evaluate_results(ann_file, base).figures()['instances (crowd hard)']
    assert counts['crowd hard'] == str(num_hard) != '0'
    assert (counts['hidden high'], figures['hidden high']) == ('0', '-')
    assert float(figures['hidden low']) > 0


def test_a_work_dir_gives_its_best_validation_until_it_is_tested(write_scalars, write_json):
    records = []
    for epoch, ap in ((10, 0.5), (20, 0.7), (30, 0.6)):
        records.append(dict(lr=1e-3, loss=1.0, epoch=epoch, iter=epoch * 100, step=epoch * 100))
        records.append(dict(coco_metrics(ap), step=epoch))
    work_dir = write_scalars('work/20260101_000000', records)
    best = read_metrics(work_dir)
    assert best.metrics['coco/AP'] == 0.7
    assert 'epoch 20' in best.origin
    for stamp, ap in (('20260102_000000', 0.65), ('20260103_000000', 0.66)):
        write_json(f'work/{stamp}/{stamp}.json', coco_metrics(ap))
    tested = read_metrics(work_dir)
    assert tested.metrics['coco/AP'] == 0.66, 'the newest test'
    assert tested.config.parts[-3:] == ('20260103_000000', 'vis_data', 'config.py')
    write_json('work/20260104_000000/20260104_000000.json', dict(PCK=0.9))
    with pytest.raises(ValueError, match=r'20260104_000000\.json has no AP'):
        read_metrics(work_dir)


def test_results_on_different_people_are_not_compared(write_json):
    metrics = {count: coco_metrics(0.7, **{'coco/instances (crowd easy)': count}) for count in (5, 6)}
    results = [read_result(f'of {count}', write_json(f'{count}.json', metrics[count])) for count in (5, 6)]
    with pytest.raises(ValueError, match='of 5 and of 6 are from different data sets, with 5 and 6'):
        compare(results)


def test_crowdpose_results_take_sigmas_and_settings_from_a_config(slice_of, write_json):
    ann_file = slice_of('crowdpose', 'annotations', 'test_crowdpose.json')
    dataset = json.loads(ann_file.read_text())
    dataset['annotations'] = [dict(person, area=2000) for person in dataset['annotations'] if person['num_keypoints']]
    results = write_json('results.json', make_detections(dataset, 0.1, 0, np.random.default_rng(0)))
    protocol = read_protocol(config_path('ca_hrnet_w32_crowdpose_256x192'), ann_file)
    result = read_result('A', results, protocol)
    sigmas = protocol.metainfo['sigmas']
    assert len(sigmas) == 14
    stats = coco_stats(str(ann_file), results, 'keypoints_crowd', sigmas, use_area=False)
    assert 0 < stats[0] < 1
    assert [result.figures[name] for name in ('AP', 'AP .5', 'AP .75', 'AR')] == pytest.approx(stats[[0, 1, 2, 3]])
    assert result.boxes == 'detected', 'AP is another figure with ground truth boxes'


def test_complexity_counts_the_parameters_of_the_config(tool, write_json, tmp_path):
    metrics, stock = write_json('metrics.json', coco_metrics(0.7)), config_path('demo/hrnet_w16_128x96_finetune')
    config = tmp_path / 'wrapped.py'
    config.write_text(
        f'_base_ = {stock!r}\n'
        "dataset = dict(_delete_=True, type='RepeatDataset', times=1, dataset=_base_.test_dataloader.dataset)\n"
        'test_dataloader = dict(dataset=dataset)'
    )
    options = '--complexity', '--row-config', f'A={config}', '--format', 'json'
    figures = json.loads(tool('benchmark_table', f'A={metrics}', *options)[1])[0]['figures']
    model = init_model(stock, device='cpu')
    assert figures['params (M)'] == sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert 0.05 < figures['GFLOPs'] < 1


@pytest.mark.parametrize(
    ('content', 'problem'),
    [
        ('{"coco/AP":', 'is not JSON'),
        ('{"loss": 1}', 'has no AP'),
        ('{"a/AP": 0.5, "b/AP": 0.4}', 'several figures of AP'),
        ('[]', 'holds poses and no figures: give the annotations'),
    ],
)
def test_sources_that_cannot_be_read_are_refused_in_one_line(tool, tmp_path, content, problem):
    (tmp_path / 'source.json').write_text(content)
    code, out, _ = tool('benchmark_table', f'A={tmp_path}/source.json')
    assert problem in code
    assert '\n' not in code
    assert out == ''
