"""The README's commands, and the files that they write."""

import json
import math
from pathlib import Path

import torch
from mmengine.config import Config
from mmpose.apis import init_model
from trained import look_trained

from ca_hrnet_plugin import config_path


def read(path):
    return json.loads(Path(path).read_text())


def num_labelled(data_root) -> int:
    people = read(data_root / 'coco/annotations/person_keypoints_train2017.json')['annotations']
    return sum(person['num_keypoints'] > 0 for person in people)


def test_mim_trains_and_tests_a_narrow_network(trained_work_dir, drawn_data, mim, tmp_path):
    (log,) = trained_work_dir.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    per_epoch = math.ceil(num_labelled(drawn_data) / 16)
    assert [line['epoch'] for line in lines if 'loss' in line] == [1] * per_epoch + [2] * per_epoch + [3] * per_epoch
    assert sum('coco/AP' in line for line in lines) == 3
    path = trained_work_dir / 'epoch_3.pth'
    checkpoint = torch.load(path, weights_only=False)
    assert (checkpoint['meta']['epoch'], checkpoint['meta']['iter']) == (3, 3 * per_epoch)
    assert any('.ca.' in key for key in checkpoint['state_dict'])

    run = mim(
        *('test', 'mmpose', config_path('demo/ca_hrnet_w16_128x96'), '--checkpoint', path, '--out', 'metrics.json'),
        *('--cfg-options', f'test_evaluator.outfile_prefix={tmp_path}/results'),
        CA_HRNET_DATA=str(drawn_data),
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert {len(result['keypoints']) for result in read(tmp_path / 'results.keypoints.json')} == {17 * 3}
    assert read(tmp_path / 'metrics.json').keys() >= {'coco/AP', 'coco/AP .5', 'coco/AP (M)', 'coco/AR (L)'}


def test_a_narrow_network_trains_on_photographs_and_uses_detected_boxes(runner, real_data):
    run = runner('ca_hrnet_w16_coco_128x96', real_data, **{'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1})
    run.train()
    assert run.iter == math.ceil(num_labelled(real_data) / 16)
    assert run.message_hub.get_scalar('val/coco/AP').current() >= 0


def test_a_stock_checkpoint_tests_the_same_as_hrnet_and_as_ca_hrnet(runner, drawn_data, tmp_path):
    """To the last digit of every keypoint."""
    names = ('hrnet_w16_coco_128x96', 'ca_hrnet_w16_coco_128x96')
    stock = init_model(config_path(names[0]), device='cpu')
    torch.save(dict(state_dict=look_trained(stock).state_dict()), tmp_path / 'stock.pth')
    outcomes = []
    for name in names:
        options = {'load_from': str(tmp_path / 'stock.pth'), 'test_evaluator.outfile_prefix': str(tmp_path / name)}
        metrics = runner(name, drawn_data, **options).test()
        outcomes.append((metrics, (tmp_path / f'{name}.keypoints.json').read_bytes()))
    assert outcomes[0] == outcomes[1]


def test_a_narrow_network_learns_a_handful_of_people_by_heart(runner, drawn_data, tmp_path):
    content = read(drawn_data / 'coco/annotations/person_keypoints_train2017.json')
    content['annotations'].sort(key=lambda person: (person['num_keypoints'], person['area']))
    handful = str(tmp_path / 'handful.json')
    Path(handful).write_text(json.dumps(content | dict(annotations=content['annotations'][-4:])))
    name = 'demo/ca_hrnet_w16_128x96'
    pipeline = Config.fromfile(config_path(name)).train_pipeline
    pipeline = [transform for transform in pipeline if not transform['type'].startswith('Random')]
    data = dict(ann_file=handful, data_prefix=dict(img='train2017/'))
    options = dict(
        train_cfg=dict(max_epochs=40, val_interval=40),
        param_scheduler=[dict(type='MultiStepLR', milestones=[28, 36], gamma=0.1)],
        optim_wrapper=dict(optimizer=dict(lr=2e-3)),
        custom_hooks=[],
        default_hooks=dict(logger=dict(interval=1000), checkpoint=dict(interval=1000, save_best=None)),
        model=dict(test_cfg=dict(flip_test=False)),  # nothing is flipped in training
        train_dataloader=dict(dataset=data | dict(pipeline=pipeline)),
        val_dataloader=dict(dataset=data),
        val_evaluator=dict(ann_file=handful),
    )
    run = runner(name, drawn_data, **options)
    run.train()
    assert run.message_hub.get_scalar('val/coco/AP').current() > 0.6
