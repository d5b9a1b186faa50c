import json
import sys
import time
from collections import Counter

import numpy as np
import pytest
import run_study
import torch
from mmengine.config import Config, DictAction
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import MODELS
from random_people import make_annotations, make_detections
from run_study import NETWORKS, deal, report, test_command, train_command, write_folds
from trained import look_trained

from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.evaluation import crowd_index, evaluate_results

test_command.__test__ = False


@pytest.fixture
def data(tmp_path, write_json):
    """A data set in COCO's layout, of 70 and 30 images."""
    dataset = make_annotations(100, 3, np.random.default_rng(0))
    for image in dataset['images']:
        image['file_name'] = f'{image["id"]}.jpg'
    for part, inside in (('train2017', lambda image: image <= 70), ('val2017', lambda image: image > 70)):
        content = dict(
            dataset,
            images=[image for image in dataset['images'] if inside(image['id'])],
            annotations=[one for one in dataset['annotations'] if inside(one['image_id'])],
        )
        write_json(f'data/annotations/person_keypoints_{part}.json', content)
    return tmp_path / 'data'


def read(path):
    return json.loads(path.read_text())


def test_each_image_is_tested_in_one_fold_and_trained_on_in_the_others_and_levels_are_dealt_evenly(data, tmp_path):
    write_folds(data, tmp_path / 'folds', 5)

    everything = read(tmp_path / 'folds/all.json')
    assert {image['file_name'] for image in everything['images']} >= {'train2017/1.jpg', 'val2017/100.jpg'}
    tested = []
    for fold in range(5):
        train, test = (read(tmp_path / f'folds/fold{fold}_{part}.json') for part in ('train', 'test'))
        ids = [{image['id'] for image in part['images']} for part in (train, test)]
        assert not ids[0] & ids[1] and len(ids[0] | ids[1]) == 100
        assert {one['image_id'] for one in test['annotations']} <= ids[1]
        tested += ids[1]
    assert sorted(tested) == list(range(1, 101))

    fold_of = deal(everything['images'], everything['annotations'], 5)
    for low, high in ((0, 0.1), (0.1, 0.8), (0.8, 99)):
        of_level = [
            image
            for image in fold_of
            if low <= crowd_index([one for one in everything['annotations'] if one['image_id'] == image]) < high
        ]
        counts = Counter(fold_of[image] for image in of_level)
        assert len(of_level) > 1 and max(counts.values()) - min(counts.values()) <= 1
    assert fold_of == deal(everything['images'][::-1], everything['annotations'][::-1], 5)


def test_a_training_starts_from_its_fold_s_base_and_goes_on_where_it_was_left(data, tmp_path):
    (tmp_path / 'fold3/base').mkdir(parents=True)
    (tmp_path / 'fold3/base/last_checkpoint').write_text('base.pth')

    assert '--resume' in train_command('base', 3, data, tmp_path, [])
    command = train_command('CA-HRNet', 3, data, tmp_path, ['train_cfg.max_epochs=1'])
    assert '--resume' not in command and 'load_from=base.pth' in command

    config = Config.fromfile(command[0])
    options = command[command.index('--cfg-options') + 1 :]
    config.merge_from_dict(
        {key: DictAction._parse_iterable(value) for key, value in (o.split('=', 1) for o in options)}
    )
    assert config.train_dataloader.dataset.ann_file == f'{tmp_path}/annotations/fold3_train.json'
    assert config.val_evaluator.ann_file == config.test_dataloader.dataset.ann_file
    assert config.test_dataloader.dataset.ann_file == f'{tmp_path}/annotations/fold3_test.json'
    assert (config.randomness.seed, config.train_cfg.max_epochs) == (3, 1)

    (tmp_path / 'fold3/CA-HRNet').mkdir()
    (tmp_path / 'fold3/CA-HRNet/last_checkpoint').write_text('epoch_4.pth')
    command = train_command('CA-HRNet', 3, data, tmp_path, [])
    assert '--resume' in command and 'load_from=base.pth' not in command
    command = test_command('CA-HRNet', 3, data, tmp_path, [])
    assert command[command.index('--checkpoint') + 1] == 'epoch_4.pth'


def test_with_two_jobs_a_network_waits_for_its_base_and_a_failure_ends_the_study(data, tmp_path, monkeypatch):
    done = []

    def train_and_test(network, fold, *_):
        time.sleep(0.2 if (network, fold) == ('base', 1) else 0.05)
        if (network, fold) == ('CA-HRNet', 0):
            sys.exit('mim train failed')
        done.append((network, fold))

    monkeypatch.setattr(run_study, 'train_and_test', train_and_test)
    monkeypatch.setattr(sys, 'argv', f'run_study {data} --out {tmp_path} --folds 2 --jobs 2'.split())
    with pytest.raises(SystemExit, match='mim train failed'):
        run_study.main()
    assert {('base', 0), ('base', 1), ('HRNet', 0), ('HRNet', 1)} <= set(done)
    assert 'CBAM' not in dict(done)
    assert all(done.index(('base', fold)) <= place for place, (_, fold) in enumerate(done))


def test_at_full_rate_the_norms_before_attention_alone_learn_at_four_times_the_rate():
    config = Config.fromfile(config_path('study/ca_hrnet_w16_128x96_full_rate'))
    model = MODELS.build(config.model)
    init_default_scope('mmpose')
    optimizer = build_optim_wrapper(model, config.optim_wrapper)
    names = {parameter: name for name, parameter in model.named_parameters()}
    fast = {names[group['params'][0]] for group in optimizer.param_groups if group['lr'] == 8e-3}
    norms = {name for name, _ in model.named_parameters() if '.branches.' in name and '.bn2.' in name}
    assert len(norms) == 36 and fast == norms


@pytest.mark.parametrize('network', [name for name in NETWORKS if name != 'HRNet'])
def test_each_network_starts_as_its_base(network):
    torch.manual_seed(0)
    base = MODELS.build(Config.fromfile(config_path('study/hrnet_w16_128x96_base')).model).eval()
    model = MODELS.build(Config.fromfile(config_path(f'study/{NETWORKS[network]}')).model).eval()
    model.load_state_dict(base.state_dict())
    crops = torch.rand(1, 3, 128, 96)
    with torch.no_grad():
        assert torch.equal(model.backbone(crops)[0], base.backbone(crops)[0])


def test_the_report_is_of_the_folds_that_every_network_has_done(data, tmp_path, write_json):
    rng = np.random.default_rng(1)
    write_folds(data, tmp_path / 'annotations', 3)
    everything = read(tmp_path / 'annotations/all.json')
    found = {'HRNet': make_detections(everything, 0.1, 0, rng), 'CA-HRNet': make_detections(everything, 0.06, 0, rng)}
    for fold in range(3):
        of_fold = {image['id'] for image in read(tmp_path / f'annotations/fold{fold}_test.json')['images']}
        for network in ('HRNet', 'CA-HRNet')[: 1 if fold == 1 else 2]:
            own = [one for one in found[network] if one['image_id'] in of_fold]
            write_json(f'fold{fold}/{network}/results.json', own)

    files = {network: f'{network}/results.json' for network in ('HRNet', 'CA-HRNet')}
    with pytest.raises(SystemExit, match=r'no fold .* is done for each of HRNet, SE'):
        report(dict(HRNet='HRNet/results.json', SE='SE/results.json'), tmp_path, 3)
    table = report(files, tmp_path, 3)
    assert 'folds [0, 2]' in table
    row = next(line for line in table.splitlines() if line.startswith('| AP '))
    done = [one for fold in (0, 2) for one in read(tmp_path / f'fold{fold}/CA-HRNet/results.json')]
    expected = evaluate_results(tmp_path / 'annotations/done.json', done).figures()['AP']
    assert f'| {100 * expected:.1f}, +' in row


def test_other_gates_of_a_fold_are_tested_and_its_own_find_what_mim_test_finds(
    drawn_data, tmp_path, monkeypatch, capsys
):
    run_study.write_folds(drawn_data / 'coco', tmp_path / 'annotations', 2)
    work_dir = tmp_path / 'fold1/CA-HRNet'
    for fold in (0, 1):
        (tmp_path / f'fold{fold}/CA-HRNet').mkdir(parents=True)
    config = Config.fromfile(config_path('study/ca_hrnet_w16_128x96'))
    fold_of_data = dict(o.split('=') for o in run_study.on_fold(1, drawn_data / 'coco', tmp_path))
    config.merge_from_dict(fold_of_data | dict(model=dict(test_cfg=dict(flip_test=False)), work_dir=str(work_dir)))
    config.merge_from_dict(dict(test_evaluator=dict(outfile_prefix=f'{work_dir}/found')))
    config.randomness.seed = 1
    runner = Runner.from_cfg(config)
    look_trained(runner.model)
    runner.test()
    torch.save(runner.model.state_dict(), work_dir / 'weights.pth')
    (work_dir / 'last_checkpoint').write_text(f'{work_dir}/weights.pth')
    (work_dir / 'found.keypoints.json').rename(work_dir / 'results.json')

    arguments = f'run_study {drawn_data / "coco"} --out {tmp_path} --folds 2 --gates CA-HRNet'
    monkeypatch.setattr(sys, 'argv', arguments.split())
    capsys.readouterr()
    run_study.main()
    assert 'folds [1]; intervals of 95 % over images\n\n| ' in capsys.readouterr().out

    def poses(path):
        found = sorted(read(path), key=lambda pose: (pose['image_id'], pose['keypoints']))
        return np.array([pose['keypoints'] for pose in found])

    monkeypatch.setattr(sys, 'argv', [*arguments.split(), '--networks', 'HRNet'])
    with pytest.raises(SystemExit):
        run_study.main()
    assert '--gates tests one network as it was trained' in capsys.readouterr().err

    own = poses(work_dir / 'gates/own gates.json')
    np.testing.assert_allclose(own, poses(work_dir / 'results.json'), atol=0.01)
    for gates in ("another person's", 'mean profile', 'mean channel', 'one mean'):
        other = poses(work_dir / f'gates/{gates}.json')
        assert other.shape == own.shape and not np.allclose(other, own, atol=0.01)
