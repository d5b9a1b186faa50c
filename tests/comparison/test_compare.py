"""tools/compare.py with a stand-in for mim, which leaves the files of a training or test without doing it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from random_people import make_annotations, make_detections

from ca_hrnet_plugin import SMALL_HRNET, config_path
from ca_hrnet_plugin.comparison import ComparisonFiles, different_features, filled_networks, pretrained_networks
from ca_hrnet_plugin.reporting import read_comparison

COMPARE = Path(__file__).parents[2] / 'tools/compare.py'
CONFIG = config_path('demo/hrnet_w16_128x96_finetune')
OPTIONS = ('--out', 'out (1)', '--resamples', '20')
MIM = """
import json, os, sys, time
from pathlib import Path

command, package, config, *arguments = sys.argv[1:]
cfg = {}
exec(Path(config).read_text(), cfg)
work_dir, network = Path(cfg['work_dir']), Path(config).parent.name
with open(os.environ['CALLS'], 'a') as calls:
    calls.write(f'{command} {network} {Path(config).stem}\\n')
if network == os.environ.get('FAILING'):
    sys.exit('RuntimeError: out of memory')
while network == os.environ.get('ENDLESS'):
    time.sleep(0.1)
if command == 'train':
    assert '--resume' in arguments
    (work_dir / 'epoch_3.pth').touch()
    (work_dir / 'last_checkpoint').write_text(f'{work_dir}/epoch_3.pth')
else:
    assert Path(arguments[arguments.index('--checkpoint') + 1]).exists()
    results = json.loads(Path(os.environ['RESULTS']).read_text())
    if 'outfile_prefix' in cfg['test_evaluator']:
        poses = results.get(network, results['HRNet'])
        Path(cfg['test_evaluator']['outfile_prefix'] + '.keypoints.json').write_text(json.dumps(poses))
    metrics = results.get(f"{network} {cfg['randomness']['seed']}", {'coco/AP': 0.5})
    Path(arguments[arguments.index('--out') + 1]).write_text(json.dumps(metrics))
"""


@pytest.fixture
def data(tmp_path):
    """Random people, and the results of two networks on them."""
    rng = np.random.default_rng(0)
    dataset = make_annotations(20, 2, rng)
    picture = cv2.imencode('.jpg', rng.integers(0, 255, (480, 640, 3), dtype=np.uint8))[1].tobytes()
    for image in dataset['images']:
        image['file_name'] = f'{image["id"]}.jpg'
        for split in ('train2017', 'val2017'):
            path = tmp_path / f'data/coco/{split}' / image['file_name']
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture)
    for split in ('train', 'val'):
        path = tmp_path / f'data/coco/annotations/person_keypoints_{split}2017.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(dataset))
    results = {'HRNet': make_detections(dataset, 0.1, 1, rng), 'CA-HRNet': make_detections(dataset, 0.05, 1, rng)}
    (tmp_path / 'results.json').write_text(json.dumps(results))
    return dataset


@pytest.fixture
def environment(tmp_path, data, monkeypatch):
    """The environment and the working directory of a command that finds the stand-in."""
    (tmp_path / 'mim.py').write_text(MIM)
    monkeypatch.chdir(tmp_path)
    for name, value in {
        'PYTHONPATH': os.pathsep.join([str(tmp_path), str(COMPARE.parents[1])]),
        'PYTHONWARNINGS': 'ignore',
        'CA_HRNET_DATA': str(tmp_path / 'data'),
        'CALLS': str(tmp_path / 'calls'),
        'RESULTS': str(tmp_path / 'results.json'),
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def compare(environment, tool, monkeypatch):
    """Runs the command, and returns its exit code or message, its output, and its error output."""
    networks = {'HRNet': {'training step': 1.0, 'inference': 1.0}}
    monkeypatch.setattr(
        'ca_hrnet_plugin.reporting.comparison.measure_cost',
        lambda configs: dict(machine='a test', batch=1, networks=dict.fromkeys(configs, networks['HRNet'])),
    )
    monkeypatch.setattr('ca_hrnet_plugin.reporting.comparison.NUM_IMAGES', 1)
    return lambda *arguments: tool('compare', *arguments, *OPTIONS)


@pytest.fixture
def start(environment):
    """Starts the command in a process of its own."""

    def start(*arguments) -> subprocess.Popen:
        command = [sys.executable, COMPARE, *map(str, arguments), *OPTIONS]
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    return start


def calls(tmp_path) -> list[str]:
    return (tmp_path / 'calls').read_text().splitlines()


def wait_for(condition):
    while not condition():
        time.sleep(0.05)


def test_each_network_and_seed_is_trained_tested_and_reported_once(compare, tmp_path):
    arguments = (CONFIG, '--attention', 'coord', 'se', '--seeds', 0, 1)
    code, out, err = compare(*arguments, '--dry-run')
    assert code == 0, err
    commands = [[shlex.split(step) for step in line.split(' && ')] for line in out.splitlines()]
    assert [step[:3] for line in commands for step in line] == 6 * [
        ['mim', 'train', 'mmpose'],
        ['mim', 'test', 'mmpose'],
    ]
    assert commands[1][0][3] == str(tmp_path / 'out (1)/configs/CA-HRNet/seed0.py')
    assert not (tmp_path / 'calls').exists()

    code, out, err = compare(*arguments, '--jobs', 2)
    assert code == 0, err
    names = ('HRNet', 'CA-HRNet', 'SE-HRNet')
    runs = [f'{command} {name} seed{seed}' for seed in (0, 1) for name in names for command in ('train', 'test')]
    assert sorted(calls(tmp_path)) == sorted(runs)
    verdict, _, page = out.splitlines()
    assert verdict.startswith('CA-HRNet gains ')
    assert 'over images and runs: a gain is shown.' in verdict
    assert page == "open 'out (1)/report/index.html'"
    html = (tmp_path / 'out (1)/report/index.html').read_text()
    assert html.index(verdict) < html.index('<table')
    table = (tmp_path / 'out (1)/report/table.md').read_text()
    assert verdict in table and re.search(r'^## Figures, in percent\n\n\|.*HRNet.*CA-HRNet.*SE-HRNet', table, re.M)
    assert json.loads((tmp_path / 'out (1)/report/results.json').read_text())['verdicts'][0] == verdict

    code, _, err = compare(*arguments[:-2], 0, 1, 2)
    assert code == 0, err
    assert sorted(calls(tmp_path)[len(runs) :]) == sorted(run.replace('seed0', 'seed2') for run in runs[:6])

    code, _, _ = compare(*arguments, '--cfg-options', 'optim_wrapper.optimizer.lr=0.1')
    assert 'holds runs of another HRNet' in code


@pytest.mark.parametrize('imports', [None, 'users_module', ['users_module', 'ca_hrnet_plugin']])
def test_stock_networks_import_the_plugin_too_which_runs_them_beside_mmcv_lite(compare, tmp_path, monkeypatch, imports):
    stock = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py'
    own = f'custom_imports = dict(imports={imports!r})\n' if imports else ''
    (tmp_path / 'users_module.py').touch()
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / 'stock.py').write_text(f'_base_ = {stock!r}\n{own}')
    code, _, err = compare('stock.py', '--attention', 'coord', '--dry-run')
    assert code == 0, err
    for network in ('HRNet', 'CA-HRNet'):
        cfg = Config.fromfile(tmp_path / f'out (1)/configs/{network}.py', import_custom_modules=False)
        assert cfg.custom_imports.imports == [*(['users_module'] if imports else []), 'ca_hrnet_plugin']


def test_a_run_that_fails_is_named_and_the_others_go_on(compare, tmp_path, monkeypatch):
    arguments = (CONFIG, '--attention', 'coord', 'se', '--seeds', 0)
    monkeypatch.setenv('FAILING', 'SE-HRNet')
    code, out, err = compare(*arguments)
    assert code
    log = tmp_path / 'out (1)/SE-HRNet/seed0/train.log'
    assert f'SE-HRNet, seed0 failed: RuntimeError: out of memory; its log is {log}' in err
    assert 'test CA-HRNet seed0' in calls(tmp_path)
    assert not out.strip(), 'no seed is complete for all networks'

    before = len(calls(tmp_path))
    monkeypatch.delenv('FAILING')
    code, out, err = compare(*arguments)
    assert code == 0, err
    assert calls(tmp_path)[before:] == ['train SE-HRNet seed0', 'test SE-HRNet seed0']
    assert 'Another seed can change this' in out


def test_an_interrupted_command_leaves_no_process_and_goes_on(start, compare, tmp_path, monkeypatch):
    arguments = (CONFIG, '--attention', 'coord', '--seeds', 0)
    monkeypatch.setenv('ENDLESS', 'CA-HRNet')
    process = start(*arguments)
    wait_for(lambda: (tmp_path / 'calls').exists() and 'train CA-HRNet seed0' in calls(tmp_path))
    code, _, _ = compare(*arguments)
    assert 'another process is running' in code
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode
    assert err.endswith('interrupted: run the same command to continue\n')
    assert str(tmp_path) not in subprocess.run(['ps', '-ef'], capture_output=True, text=True).stdout

    monkeypatch.delenv('ENDLESS')
    code, _, err = compare(*arguments)
    assert code == 0, err
    assert calls(tmp_path).count('train HRNet seed0') == 1


def test_the_start_must_be_the_baseline_s_byte_for_byte(compare, tmp_path):
    arguments = (CONFIG, '--attention', 'coord', '--load-from', SMALL_HRNET, '--seeds', 0)
    code, _, _ = compare(*arguments)  # the stand-in gives CA-HRNet other poses
    assert code == 'error: CA-HRNet did not start with the outputs of HRNet'
    assert calls(tmp_path) == ['test HRNet start', 'test CA-HRNet start']
    config = Config.fromfile(tmp_path / 'out (1)/configs/CA-HRNet/seed0.py')
    assert config.model.init_cfg == dict(type='Pretrained', checkpoint=SMALL_HRNET)
    assert config.load_from is None


@pytest.mark.parametrize(
    'model, load_from',
    [
        ('head=dict(final_layer=dict(kernel_size=3))', ['--load-from', SMALL_HRNET]),
        (
            "backbone=dict(init_cfg=dict(_delete_=True, type='Pretrained', "
            f"checkpoint={SMALL_HRNET!r}, prefix='backbone.'))",
            [],
        ),
    ],
)
def test_weights_without_the_head_are_compared_by_the_feature_maps(compare, tmp_path, model, load_from):
    (tmp_path / 'other.py').write_text(f'_base_ = {CONFIG!r}\nmodel = dict({model})')
    code, _, err = compare('other.py', '--attention', 'coord', 'eca', *load_from, '--dry-run')
    assert code == 0, err
    files = ComparisonFiles.read('out (1)')
    assert pretrained_networks(files) == ['HRNet', 'CA-HRNet', 'ECA-HRNet']
    assert not filled_networks(files)
    assert not different_features(files)
    config = files.config('ECA-HRNet')
    config.write_text(config.read_text().replace("type='CAHRNet'", "type='CAHRNet', warm_start='none'"))
    assert different_features(files) == ['ECA-HRNet']


def test_folds_test_each_person_once(compare, tmp_path, data):
    code, out, err = compare(CONFIG, '--attention', 'coord', '--folds', 3, '--dry-run')
    assert code == 0, err
    assert len(out.splitlines()) == 6
    tested, number = [], 2 * len(data['annotations'])  # train2017 and val2017 are different images here
    for fold in range(3):
        config = Config.fromfile(tmp_path / f'out (1)/configs/CA-HRNet/fold{fold}.py')
        train, test = (
            json.loads(Path(loader.dataset.ann_file).read_text())
            for loader in (config.train_dataloader, config.test_dataloader)
        )
        assert config.test_evaluator.ann_file == config.test_dataloader.dataset.ann_file
        ids = [{person['id'] for person in content['annotations']} for content in (train, test)]
        assert not ids[0] & ids[1]
        assert len(ids[0] | ids[1]) == number
        assert all(Path(image['file_name']).is_file() for image in test['images'])
        tested += ids[1]
    assert len(tested) == len(set(tested)) == number


def test_folds_need_valid_annotations_and_follow_them_until_a_run_starts(compare, tmp_path, data):
    (tmp_path / 'no_val.py').write_text(
        f'_base_ = {CONFIG!r}\nval_cfg = None\nval_dataloader = None\nval_evaluator = None'
    )
    arguments = ('no_val.py', '--attention', 'coord', '--folds')
    path = tmp_path / 'data/coco/annotations/person_keypoints_train2017.json'
    person = data['annotations'][1]
    bbox = person.pop('bbox')
    path.write_text(json.dumps(data))
    code, *_ = compare(*arguments, 3)
    assert f'annotation {person["id"]} of {path} has no bbox' in code

    person |= dict(bbox=bbox, area=-1)
    path.write_text(json.dumps(data))
    code, _, err = compare(*arguments, 3)
    assert 'nothing was trained' in code
    assert 'area' in err

    image = dict(data['images'][0], id=1000)  # one picture, listed once for each of its people
    data['images'].append(image)
    person |= dict(area=bbox[2] * bbox[3], image_id=image['id'])
    path.write_text(json.dumps(data))
    code, out, err = compare(*arguments, 3)
    assert code == 0, err
    assert 'over images and folds' in out
    tested = [json.loads((tmp_path / f'out (1)/annotations/fold{fold}_test.json').read_text()) for fold in range(3)]
    names = [image['file_name'] for content in tested for image in content['images']]
    assert len(names) == len(set(names)) == len(data['images']) - 1 + 20
    assert sum(len(content['annotations']) for content in tested) == 2 * len(data['annotations'])

    code, *_ = compare(*arguments, 2)
    assert 'its config or the options have changed since; give another --out' in code


def test_options_are_in_the_configs_of_runs_start_and_report(compare, tmp_path):
    other = (tmp_path / 'data/coco/annotations/person_keypoints_val2017.json').rename(tmp_path / 'other.json')
    parts = ('val_dataloader.dataset', 'test_dataloader.dataset', 'val_evaluator', 'test_evaluator')
    options = [f'{part}.ann_file={other}' for part in parts]
    code, _, err = compare(CONFIG, '--attention', 'coord', '--seeds', 0, '--cfg-options', *options)
    assert code == 0, err

    options += ['load_from=weights.pth', 'param_scheduler.1.T_max=7']
    Path('out (1)').rename('first')
    code, _, err = compare(CONFIG, '--attention', 'coord', '--folds', 2, '--dry-run', '--cfg-options', *options)
    assert code == 0, err
    files = ComparisonFiles.read('out (1)')
    assert files.starts['CA-HRNet'] == str(tmp_path / 'weights.pth')
    for config in (files.config('CA-HRNet'), files.config('CA-HRNet', 'fold1')):
        cfg = Config.fromfile(config)
        assert cfg.load_from is None, 'mim train --resume would take it for an interrupted run'
        assert [schedule.type for schedule in cfg.param_scheduler] == ['LinearLR', 'CosineAnnealingLR']
        assert cfg.param_scheduler[1].T_max == 7
    assert cfg.test_dataloader.dataset.ann_file == str(files.fold_annotations('fold1', 'test').resolve())


def test_other_evaluators_are_judged_over_seeds(compare, tmp_path):
    metrics = {f'HRNet {seed}': {'EPE': 5.0 + 0.1 * seed} for seed in range(3)}
    metrics |= {f'CA-HRNet {seed}': {'EPE': 4.0 + 0.1 * seed + 0.01 * (seed == 1)} for seed in range(3)}
    (tmp_path / 'results.json').write_text(json.dumps(metrics))
    hands = tmp_path / 'hands.py'
    hands.write_text(f"_base_ = {CONFIG!r}\ntest_evaluator = dict(_delete_=True, type='EPE')")
    code, out, err = compare(hands, '--attention', 'coord', '--seeds', 0, 1, 2)
    assert code == 0, err
    assert out.startswith('CA-HRNet gains 0.9967 EPE, 95 % interval -1.011 to -0.9823 over runs: a gain is shown.')
    row = read_comparison(tmp_path / 'out (1)').rows[1]
    assert row.result.deviations['EPE'] == pytest.approx(np.std([4.0, 4.11, 4.2], ddof=1))
    assert 'It does not cover other images.' in (tmp_path / 'out (1)/report/index.html').read_text()

    for network, parts in {'HRNet': (1.0, 2.0), 'CA-HRNet': (3.0, 1.0)}.items():
        for seed in range(3):
            metrics = {f'{part}/EPE': value + 0.1 * seed for part, value in zip(('thumb', 'palm'), parts, strict=True)}
            (tmp_path / f'out (1)/{network}/seed{seed}/metrics.json').write_text(json.dumps(metrics))
    comparison = read_comparison(tmp_path / 'out (1)')
    assert comparison.verdicts[0].startswith('CA-HRNet loses 2 thumb/EPE')
    assert comparison.rows[1].differences['palm/EPE'] == pytest.approx(-1)
    for seed in range(3):
        (tmp_path / f'out (1)/HRNet/seed{seed}/metrics.json').write_text('{"EPE": NaN}')
    with pytest.raises(ValueError, match='no number in common'):
        read_comparison(tmp_path / 'out (1)')


@pytest.mark.parametrize(
    ('arguments', 'line'),
    [
        ((CONFIG,), 'there is nothing to compare: give --attention'),
        ((CONFIG, '--attention', 'nothing'), 'attention nothing cannot be built'),
        (('absent.py', '--attention', 'coord'), 'config absent.py cannot be read: ValueError: no file absent.py in'),
        ((CONFIG, '--attention', 'coord', '--load-from', 'absent.pth'), 'absent.pth is not a file'),
        (('pure.py', '--attention', 'coord'), "give a copy that Config.fromfile('pure.py').dump('copy.py') writes"),
        (
            (config_path('demo/ca_hrnet_w16_128x96_finetune'), '--attention', 'se'),
            'has the backbone CAHRNet: give a config of HRNet',
        ),
        (('../A=a.py', 'B=b.py'), "the name '../A' cannot be the name of a folder"),
        ((CONFIG, '--attention', 'coord', '--cfg-options', 'lr'), 'argument --cfg-options: '),
        ((CONFIG, '--attention', 'coord', '--folds', 1), '--folds 1 leaves nothing to train on'),
        ((CONFIG, '--attention', 'coord', '--report'), 'no seed has been trained and tested with every network yet'),
    ],
)
def test_bad_arguments_are_one_line(tool, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    text = Config.fromfile(CONFIG).pretty_text.replace("type='HRNet'", 'type=HRNet')
    Path('pure.py').write_text(f'from mmpose.models.backbones.hrnet import HRNet\n{text}')
    code, _, err = tool('compare', *arguments)
    message = err.strip().splitlines()[-1] if code == 2 else code  # argparse prints its own
    assert line in message
    assert '\n' not in message
