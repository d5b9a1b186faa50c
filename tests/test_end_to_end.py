"""The README's commands, and what they leave on disk."""

import json
import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from ca_hrnet_plugin import config_path

SHORT = ('train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=1', 'default_hooks.logger.interval=1')


def scalars_of_last_run(work_dir) -> list[dict]:
    path = max(work_dir.glob('*/vis_data/scalars.json'))
    return [json.loads(line) for line in path.read_text().splitlines()]


def epochs_trained(work_dir) -> list[int]:
    return [line['epoch'] for line in scalars_of_last_run(work_dir) if 'loss' in line]


@pytest.mark.parametrize('data', ['drawn_data', 'real_data'])
def test_mim_trains_resumes_and_tests_a_narrow_network(data, request, mim, tmp_path):
    data_root = request.getfixturevalue(data)
    people = json.loads((data_root / 'coco/annotations/person_keypoints_train2017.json').read_text())['annotations']
    num_labelled = sum(person['num_keypoints'] > 0 for person in people)
    config = config_path('ca_hrnet_w16_coco_128x96')
    common = dict(CA_HRNET_DATA=str(data_root))
    work_dir = tmp_path / 'work_dirs/ca_hrnet_w16_coco_128x96'

    run = mim('train', 'mmpose', config, '--cfg-options', *SHORT, 'train_cfg.max_epochs=1', **common)
    assert run.returncode == 0, run.stderr[-3000:]
    num_iters = len(epochs_trained(work_dir))
    assert num_iters == math.ceil(num_labelled / 16)

    run = mim('train', 'mmpose', config, '--resume', '--cfg-options', *SHORT, 'train_cfg.max_epochs=2', **common)
    assert run.returncode == 0, run.stderr[-3000:]
    assert set(epochs_trained(work_dir)) == {2}, 'the first epoch is not trained again'
    checkpoint = torch.load(work_dir / 'epoch_2.pth', weights_only=False)
    assert checkpoint['meta']['epoch'] == 2
    assert checkpoint['meta']['iter'] == 2 * num_iters
    assert sum('.ca.' in key for key in checkpoint['state_dict']) > 0

    run = mim(
        *('test', 'mmpose', config, '--checkpoint', work_dir / 'epoch_2.pth', '--out', tmp_path / 'metrics.json'),
        *('--cfg-options', f'test_evaluator.outfile_prefix={tmp_path}/results'),
        **common,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    results = json.loads((tmp_path / 'results.keypoints.json').read_text())
    assert {len(result['keypoints']) for result in results} == {17 * 3}
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert metrics.keys() >= {'coco/AP', 'coco/AP .5', 'coco/AP (M)', 'coco/AR (L)'}
    assert any('coco/AP' in line for line in scalars_of_last_run(work_dir)), 'validation was logged'


def test_a_stock_checkpoint_tests_the_same_as_hrnet_and_as_ca_hrnet(drawn_data, mim, tmp_path):
    """From training it briefly to the last digit of every detected keypoint."""
    stock = config_path('hrnet_w16_coco_128x96')
    common = dict(CA_HRNET_DATA=str(drawn_data))
    few_epochs = (*SHORT, 'train_cfg.max_epochs=3', 'optim_wrapper.optimizer.lr=2e-3', 'param_scheduler=[]')
    run = mim('train', 'mmpose', stock, '--no-validate', '--work-dir', tmp_path, '--cfg-options', *few_epochs, **common)
    assert run.returncode == 0, run.stderr[-3000:]

    left_behind = []
    for config in (stock, config_path('ca_hrnet_w16_coco_128x96')):
        prefix = tmp_path / config.split('/')[-1]
        run = mim(
            *('test', 'mmpose', config, '--checkpoint', tmp_path / 'epoch_3.pth', '--out', f'{prefix}.json'),
            *('--cfg-options', f'test_evaluator.outfile_prefix={prefix}'),
            **common,
        )
        assert run.returncode == 0, run.stderr[-3000:]
        metrics = json.loads(Path(f'{prefix}.json').read_text())
        figures = {name: value for name, value in metrics.items() if name.startswith('coco/')}
        left_behind.append((figures, Path(f'{prefix}.keypoints.json').read_bytes()))
    assert left_behind[0] == left_behind[1]


@pytest.fixture
def handful(drawn_data, tmp_path):
    """Four images with one well labelled person in each, as a COCO annotation file."""
    source = json.loads((drawn_data / 'coco/annotations/person_keypoints_train2017.json').read_text())
    people = {}
    for annotation in source['annotations']:
        people.setdefault(annotation['image_id'], []).append(annotation)
    largest = [max(group, key=lambda person: person['area']) for group in people.values()]
    chosen = sorted(largest, key=lambda person: person['num_keypoints'])[-4:]
    ids = {annotation['image_id'] for annotation in chosen}
    images = [image for image in source['images'] if image['id'] in ids]
    path = tmp_path / 'handful.json'
    path.write_text(json.dumps(dict(images=images, annotations=chosen, categories=source['categories'])))
    return path


def test_a_narrow_network_learns_a_handful_of_people_by_heart(drawn_data, handful, tmp_path):
    config = Config.fromfile(config_path('ca_hrnet_w16_coco_128x96'))
    data = dict(ann_file=str(handful), data_root=str(drawn_data / 'coco'), data_prefix=dict(img='train2017/'))
    loader = dict(batch_size=4, num_workers=0, persistent_workers=False)
    config.merge_from_dict(
        dict(
            work_dir=str(tmp_path),
            randomness=dict(seed=0),
            train_cfg=dict(max_epochs=90, val_interval=90),
            param_scheduler=[dict(type='MultiStepLR', milestones=[60, 80], gamma=0.1)],
            optim_wrapper=dict(optimizer=dict(lr=2e-3)),
            default_hooks=dict(logger=dict(interval=1000), checkpoint=dict(interval=1000, save_best=None)),
            # Nothing is flipped in training, so nothing is in testing.
            model=dict(test_cfg=dict(flip_test=False)),
            train_dataloader=dict(**loader, dataset=data),
            val_dataloader=dict(**loader, dataset=dict(**data, bbox_file=None)),
            val_evaluator=dict(ann_file=str(handful)),
        )
    )
    config.train_dataloader.dataset.pipeline = [
        transform for transform in config.train_pipeline if not transform.type.startswith('Random')
    ]
    runner = Runner.from_cfg(config)
    runner.train()
    metrics = runner.val_loop.run()
    # Heatmap cells of four pixels bound AP near 0.8, whatever the number of epochs.
    assert metrics['coco/AP'] > 0.6
