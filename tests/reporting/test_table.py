import contextlib
import csv
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from coco_stats import coco_stats
from mmengine.evaluator import DumpResults
from mmpose.apis import init_model
from mmpose.evaluation.metrics import CocoMetric
from random_people import make_detections

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.evaluation import evaluate_results, paired_bootstrap
from ca_hrnet_plugin.reporting.protocol import read_protocol
from ca_hrnet_plugin.reporting.table import COCO_COLUMNS
from ca_hrnet_plugin.reporting.work_dir import read_metrics

TOOLS = Path(__file__).parents[3] / 'tools'
PAPER_COLUMNS = ['AP', 'AP50', 'AP75', 'APM', 'APL', 'AR', 'AR50', 'AR75', 'ARM', 'ARL']


def csv_rows(text):
    return {row.pop(''): row for row in csv.DictReader(io.StringIO(text))}


def coco_metrics(ap, **more):
    return {'coco/AP': ap, 'coco/AP .5': ap + 0.1, 'coco/AR': ap + 0.05, 'time': 3.0, **more}


def test_figures_of_keypoint_results_are_those_of_coco_eval_in_percent(tool, two_networks):
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
        assert [float(cell) for cell in rows[name].values()] == pytest.approx(stats, abs=0.0501)
    differences = [float(cell) for cell in rows['CA-HRNet - HRNet'].values()]
    assert differences == pytest.approx(expected['CA-HRNet'] - expected['HRNet'], abs=0.0501)
    assert rows['CA-HRNet - HRNet']['AP'].startswith('+'), 'a gain has its sign'


def test_intervals_are_those_of_the_paired_bootstrap(tool, two_networks):
    ann_file, base, better = two_networks
    _, out, _ = tool(
        *('benchmark_table', f'A={base}', f'B={better}', '--ann-file', ann_file, '--resamples', 40, '--format', 'json'),
        '--levels',
    )
    second = json.loads(out)[1]
    intervals = paired_bootstrap(evaluate_results(ann_file, base), evaluate_results(ann_file, better), 40)
    assert second['intervals_95'].keys() >= {'AP', 'AR (L)', 'AP (crowd medium)'}
    for name, (low, high) in second['intervals_95'].items():
        assert (low, high) == pytest.approx((intervals[name].low, intervals[name].high))
        assert second['differences'][name] == pytest.approx(intervals[name].difference)


def test_several_runs_are_a_row_of_their_means_and_deviations(tool, two_networks, tmp_path):
    ann_file, *results = two_networks
    pattern = tmp_path / '*.keypoints.json'
    options = '--ann-file', ann_file, '--format', 'csv', '--resamples', 0
    _, out, _ = tool('benchmark_table', f'A={results[0]}', f'B={pattern}', *options)
    rows = csv_rows(out)
    stats = 100 * np.array([coco_stats(ann_file, path) for path in results])
    assert [float(cell) for cell in rows['B'].values()] == pytest.approx(stats.mean(0), abs=0.0501)
    deviations = [float(cell) for cell in rows['B, deviation of 2 runs'].values()]
    assert deviations == pytest.approx(stats.std(0, ddof=1), abs=0.0501)


def test_runs_are_paired_by_what_the_pattern_matched_and_refused_where_that_differs(tool, two_networks, tmp_path):
    ann_file, *results = two_networks
    # Sorted by name, those of A are 1 and 10, and those of B 10 and 1.
    for folder, result in zip(
        ['A/1', 'A/10', 'B/10th', 'B/1th', 'C/1', 'C/2'], [*results, *results, *results], strict=True
    ):
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(result, tmp_path / folder / 'found.json')
    rows = [f'{name}={tmp_path}/{name}/{runs}/found.json' for name, runs in dict(A='*', B='*th', C='*').items()]
    options = '--ann-file', ann_file, '--resamples', 20, '--format', 'json'

    _, out, _ = tool('benchmark_table', *rows[:2], *options)
    worse, better = (evaluate_results(ann_file, path) for path in results)
    expected = paired_bootstrap([better, worse], [worse, better], 20)['AP']
    assert json.loads(out)[1]['intervals_95']['AP'] == pytest.approx(expected[1:])

    for others in (rows[2], f'B={results[0]}'):
        code, _, _ = tool('benchmark_table', rows[0], others, *options)
        assert code.startswith('no table: runs do not pair: A has 1, 10 and')


def test_levels_have_their_counts_and_an_empty_one_is_a_dash(tool, two_networks, write_json):
    ann_file, base, _ = two_networks
    dataset = json.loads(Path(ann_file).read_text())
    for annotation in dataset['annotations']:  # as CrowdPose has it in some images: everything visible
        annotation['keypoints'][2::3] = [2 * (v > 0) for v in annotation['keypoints'][2::3]]
    ann_file = write_json('all_visible.json', dataset)
    _, out, _ = tool('benchmark_table', f'A={base}', '--ann-file', ann_file, '--levels')
    heading, _, counts, figures = out.split('\n\n')[1].splitlines()
    columns = [part.strip() for part in heading.split('  ') if part.strip()]
    counts = dict(zip(columns[1:], counts.split()[1:], strict=True))
    figures = dict(zip(columns[1:], figures.split()[1:], strict=True))

    num_hard = evaluate_results(ann_file, base).figures()['instances (crowd hard)']
    assert counts['crowd hard'] == str(num_hard) != '0'
    assert (counts['hidden high'], figures['hidden high']) == ('0', '\N{EN DASH}')
    assert float(figures['hidden low']) > 0


def test_every_format_holds_the_same_cells(tool, two_networks):
    ann_file, base, better = two_networks
    outputs = {
        form: tool(
            *('benchmark_table', f'A={base}', f'B={better}', '--ann-file', ann_file),
            *('--resamples', 0, '--format', form),
        )[1]
        for form in ('text', 'markdown', 'latex', 'html', 'csv', 'json')
    }
    cells = csv_rows(outputs['csv'])['B - A'].values()
    for form in ('text', 'markdown', 'latex', 'html'):
        assert all(cell in outputs[form] for cell in cells), form
    assert outputs['markdown'].startswith('|')
    assert '\\toprule' in outputs['latex']
    assert '<table>' in outputs['html']
    assert json.loads(outputs['json'])[1]['differences']['AP'] == pytest.approx(
        float(csv_rows(outputs['csv'])['B - A']['AP']) / 100, abs=0.000501
    )


def test_a_work_dir_gives_its_best_validation_until_it_is_tested(write_scalars, write_json):
    vals = [dict(coco_metrics(ap), step=epoch) for epoch, ap in ((10, 0.5), (20, 0.7), (30, 0.6))]
    iterations = [dict(lr=1e-3, loss=1.0, epoch=epoch, iter=epoch * 100, step=epoch * 100) for epoch in (10, 20, 30)]
    records = [record for pair in zip(iterations, vals, strict=True) for record in pair]
    work_dir = write_scalars('work/20260101_000000', records)
    best = read_metrics(work_dir)
    assert best.metrics['coco/AP'] == 0.7
    assert 'epoch 20' in best.origin
    for stamp, ap in (('20260102_000000', 0.65), ('20260103_000000', 0.66)):
        write_json(f'work/{stamp}/{stamp}.json', coco_metrics(ap))
    tested = read_metrics(work_dir)
    assert tested.metrics['coco/AP'] == 0.66, 'the newest test'
    assert tested.config.parts[-3:] == ('20260103_000000', 'vis_data', 'config.py')


def test_rows_of_metrics_compare_where_both_have_a_figure(tool, write_json):
    first = write_json('first.json', coco_metrics(0.70))
    second = write_json('second.json', {'crowdpose/AP': 0.68, 'crowdpose/AP(H)': 0.5})
    code, out, _ = tool('benchmark_table', f'A={first}', f'B={second}', '--format', 'csv')
    rows = csv_rows(out)
    assert code == 0
    assert rows['B']['AP'] == '68.0'
    assert rows['B - A']['AP'] == '-2.0'
    assert (rows['B']['AR'], rows['B']['AP hard'], rows['B - A']['AP hard']) == ('', '50.0', '')


def test_results_on_different_people_are_not_compared(tool, write_json):
    first = write_json('first.json', coco_metrics(0.7, **{'coco/instances (crowd easy)': 5}))
    second = write_json('second.json', coco_metrics(0.7, **{'coco/instances (crowd easy)': 6}))
    code, _, _ = tool('benchmark_table', f'A={first}', f'B={second}')
    assert 'A and B are of different data sets, with 5 and 6' in code


def test_crowdpose_results_take_sigmas_and_settings_from_a_config(tool, slice_of, write_json, tmp_path):
    ann_file = slice_of('crowdpose', 'annotations', 'test_crowdpose.json')
    dataset = json.loads(ann_file.read_text())
    dataset['annotations'] = [dict(person, area=2000) for person in dataset['annotations'] if person['num_keypoints']]
    results = write_json('results.json', make_detections(dataset, 0.1, 0, np.random.default_rng(0)))
    config = tmp_path / 'crowdpose.py'
    config.write_text(
        "_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/crowdpose/td-hm_hrnet-w32_8xb64-210e_crowdpose-256x192.py'"
    )
    _, out, _ = tool('benchmark_table', f'A={results}', '--config', config, '--ann-file', ann_file, '--format', 'csv')
    sigmas = read_protocol(config).metainfo['sigmas']
    assert len(sigmas) == 14
    stats = 100 * coco_stats(str(ann_file), results, 'keypoints_crowd', sigmas, use_area=False)
    row = csv_rows(out)['A']
    assert 0 < stats[0] < 100
    assert row['boxes'] == 'detected', 'those of the config, in which AP is another figure'
    figures = [float(row[name]) for name in ('AP', 'AP50', 'AP75', 'AR', 'AR50', 'AR75')]
    assert figures == pytest.approx(stats[:6], abs=0.0501)


def dump_predictions(detections, path):
    """What ``mim test --dump`` writes, by the metric that does it there."""
    metric = DumpResults(str(path))
    for index, detection in enumerate(detections):
        keypoints = np.reshape(detection['keypoints'], (1, -1, 3)).astype(np.float32)
        found = dict(keypoints=keypoints[..., :2], keypoint_scores=keypoints[..., 2])
        box = dict(bbox_scores=np.float32([detection['score']]), bbox_scales=np.float32([[100, 100]]))
        metric.process({}, [dict(id=index, img_id=detection['image_id'], pred_instances=found, gt_instances=box)])
    metric.evaluate(len(detections))


def test_dumped_predictions_give_what_coco_metric_gives(tool, two_networks, tmp_path):
    ann_file, _, better = two_networks
    detections = json.loads(Path(better).read_text())
    dump_predictions(detections, tmp_path / 'predictions.pkl')
    code, out, _ = tool('benchmark_table', f'A={tmp_path}/predictions.pkl', '--ann-file', ann_file, '--format', 'json')
    assert code == 0
    metric = CocoMetric(ann_file)
    metric.dataset_meta = read_protocol(ann_file=ann_file).metainfo
    metric.process({}, pickle.loads((tmp_path / 'predictions.pkl').read_bytes()))
    with contextlib.redirect_stdout(io.StringIO()):
        expected = metric.evaluate(len(detections))
    figures = json.loads(out)[0]['figures']
    assert 0 < figures['AP'] < 1
    assert {f'coco/{name}': figures[name] for name in figures} == pytest.approx(expected)


def test_complexity_counts_the_parameters_of_the_config(tool, write_json):
    metrics = write_json('metrics.json', coco_metrics(0.7))
    config = config_path('hrnet_w16_coco_128x96')
    _, out, _ = tool(
        *('benchmark_table', f'A={metrics}', '--complexity', '--row-config', f'A={config}', '--format', 'json'),
    )
    figures = json.loads(out)[0]['figures']
    model = init_model(config, device='cpu')
    assert figures['params (M)'] == sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert 0.1 < figures['GFLOPs'] < 1


FILES = {
    'broken.json': '{"coco/AP":',
    'loss.json': '{"loss": 1}',
    'empty.json': '[]',
    'others.json': json.dumps([dict(image_id=10**6, category_id=1, keypoints=[0] * 51, score=1)]),
    'several.json': '{"a/AP": 0.5, "b/AP": 0.4}',
}


@pytest.mark.parametrize(
    ('source', 'complaint'),
    [
        ('broken.json', 'is not JSON'),
        ('loss.json', 'has no AP'),
        ('empty.json', 'empty.json is []: give a COCO result'),
        ('others.json', 'is of another data set'),
        ('several.json', 'several data sets'),
        ('nowhere', 'does not exist'),
        ('vis_data', 'no scalars'),
        (config_path('ca_hrnet_w16_coco_128x96') + ':nowhere.pth', 'nowhere.pth (load_from) not found'),
        ('0.1.keypoints.json', 'give the annotations'),
    ],
)
def test_what_cannot_be_a_row_is_told_in_one_line(tool, two_networks, tmp_path, source, complaint):
    (tmp_path / 'vis_data').mkdir()
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    annotations = () if complaint == 'give the annotations' else ('--ann-file', two_networks[0])
    code, out, _ = tool('benchmark_table', f'A={tmp_path / source}', *annotations)
    assert complaint in code
    assert '\n' not in code
    assert out == ''


def test_a_config_and_a_checkpoint_are_tested_and_leave_their_results(drawn_data, tmp_path):
    base = config_path('hrnet_w16_coco_128x96')
    config = tmp_path / 'ground_truth_boxes.py'
    config.write_text(f'_base_ = {base!r}\ntest_dataloader = dict(dataset=dict(bbox_file=None))\n')
    torch.save(dict(state_dict=init_model(base, device='cpu').state_dict()), tmp_path / 'untrained.pth')
    # A process of its own: a run's logger keeps the output stream of the test it began in.
    run = subprocess.run(
        [sys.executable, TOOLS / 'benchmark_table.py', f'A={config}:untrained.pth', '--format', 'json'],
        cwd=tmp_path,
        env={**os.environ, 'CA_HRNET_DATA': str(drawn_data)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    table = run.stdout[run.stdout.index('[') :]  # onedl-mmdetection has a line in front of it when it is imported
    figures = json.loads(table)[0]['figures']
    assert json.loads(table)[0]['boxes'] == 'ground truth'
    results = tmp_path / 'work_dirs/ground_truth_boxes/untrained.keypoints.json'
    stats = coco_stats(str(drawn_data / 'coco/annotations/person_keypoints_val2017.json'), str(results))
    shown = [figures[name] for name in COCO_COLUMNS.values() if name in figures]
    assert [-1 if figure is None else figure for figure in shown] == pytest.approx(stats)  # -1 is COCO's for nobody
