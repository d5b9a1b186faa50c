"""Runs the examples of the documents unchanged."""

import doctest
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.logging import HistoryBuffer, MessageHub
from mmpose.apis import MMPoseInferencer
from mmpose.registry import MODELS
from mmpose.visualization import PoseLocalVisualizer
from versions import since_torch

import ca_hrnet_plugin.deploy
import ca_hrnet_plugin.reporting
from ca_hrnet_plugin import config_path
from ca_hrnet_plugin.preflight import main as check

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / 'docs'


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf'^```{language}\n(.*?)^```', document.read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def stock_checkpoint(tmp_path) -> None:
    """HRNet-W32 for COCO as OpenMMLab publishes it, with random weights: ``hrnet_w32.pth``."""
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config_path('hrnet_w32_coco_256x192')).model)
    logs = MessageHub.get_instance('docs', log_scalars=dict(loss=HistoryBuffer([0.5], [1]))).state_dict()
    checkpoint = dict(meta=dict(epoch=210), state_dict=model.state_dict(), message_hub=logs)
    torch.save(checkpoint, tmp_path / 'hrnet_w32.pth')


def test_the_quick_start_gives_the_poses_of_the_stock_network(stock_checkpoint, drawn_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(next((drawn_data / 'coco/val2017').iterdir()), 'person.jpg')
    small, large, _ = blocks(REPOSITORY / 'README.md', 'python')  # tests/deploy/test_documents.py has the last
    large, num_urls = re.subn(r"'https://download\.openmmlab\.com/.+\.pth'", "'hrnet_w32.pth'", large)
    assert num_urls == 1
    names = {}
    stock = {
        small: ('demo/hrnet_w16_128x96', ca_hrnet_plugin.SMALL_HRNET),
        large: ('hrnet_w32_coco_256x192', 'hrnet_w32.pth'),
    }
    for program, (config, weights) in stock.items():
        exec(program, names)
        assert Path('poses/person.jpg').is_file()
        theirs = next(MMPoseInferencer(config_path(config), weights, det_model='whole_image')('person.jpg'))
        ours = next(names['inferencer']('person.jpg'))
        assert len(ours['predictions'][0][0]['keypoints']) == 17
        assert ours['predictions'] == theirs['predictions']


def test_own_keypoints_go_from_annotations_to_poses(
    runner, stock_checkpoint, drawn_data, tmp_path, monkeypatch, caplog
):
    monkeypatch.chdir(tmp_path)
    stock_config, config, poses = blocks(DOCS / 'own_data.md', 'python')
    (tmp_path / 'five_points.py').write_text(stock_config)
    (tmp_path / 'ca_five_points.py').write_text(config)
    folder = tmp_path / 'data/five_points'
    shutil.copytree(drawn_data / 'coco/train2017', folder / 'images')
    content = json.loads((drawn_data / 'coco/annotations/person_keypoints_train2017.json').read_text())
    for person in content['annotations']:
        five = np.reshape(person['keypoints'], (17, 3))[[0, 9, 10, 15, 16]]
        person.update(keypoints=five.ravel().tolist(), num_keypoints=int((five[:, 2] > 0).sum()))
    content['categories'] = json.loads(blocks(DOCS / 'own_data.md', 'json')[0])['categories']
    content['annotations'] = [person for person in content['annotations'] if person['num_keypoints']][:2]
    for split in ('train', 'val'):
        (folder / f'{split}.json').write_text(json.dumps(content))

    assert check(['ca_five_points.py']) == 0

    options = {'train_cfg.max_epochs': 1, 'train_cfg.val_interval': 1, 'val_evaluator.outfile_prefix': 'five'}
    options['default_hooks.checkpoint.save_best'] = None  # the last one is enough
    run = runner('ca_five_points.py', tmp_path, **options)
    run.logger.addHandler(caplog.handler)
    run.train()
    assert '104 attention modules start as identity' in caplog.text
    results = json.loads(Path('five.keypoints.json').read_text())
    assert len(results) == 2
    assert {len(result['keypoints']) for result in results} == {5 * 3}

    shutil.copy(next((folder / 'images').iterdir()), 'person.jpg')
    exec(poses.replace('epoch_210', 'epoch_1'), {})
    assert Path('poses/person.jpg').is_file()
    meta = torch.load('work_dirs/ca_five_points/epoch_1.pth', weights_only=False)['meta']['dataset_meta']
    assert meta['flip_indices'] == [0, 2, 1, 4, 3]


@since_torch('2.6', 'the examples have its loaders and its exporter')
def test_the_examples_of_the_api_give_what_they_show(drawn_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('CA_HRNET_DATA', str(drawn_data))
    monkeypatch.setattr(PoseLocalVisualizer, '_instance_dict', {})  # one of an earlier runner writes elsewhere
    (tmp_path / 'coco').symlink_to(drawn_data / 'coco')
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    results = doctest.testfile(str(DOCS / 'api.md'), module_relative=False, optionflags=options)
    assert results.attempted > 30
    assert results.failed == 0


def test_every_public_name_has_an_example():
    examples = ''.join(blocks(DOCS / 'api.md', 'pycon'))
    for package in (ca_hrnet_plugin, ca_hrnet_plugin.models, ca_hrnet_plugin.deploy, ca_hrnet_plugin.reporting):
        assert [name for name in package.__all__ if not re.search(rf'\b{name}\b', examples)] == []


def test_links_lead_to_existing_files_and_sections():
    for document in (*REPOSITORY.glob('*.md'), *DOCS.glob('*.md')):
        for target, section in re.findall(r'\]\((?!https?:)([^)#]*)#?([^)]*)\)', document.read_text()):
            path = document.parent / target if target else document
            assert path.exists(), f'{document.name}: {target}'
            headings = re.findall(r'^#+ (.+)$', path.read_text(), re.MULTILINE) if section else ()
            assert not section or section in [re.sub(r'[^a-z0-9]+', '-', heading.lower()) for heading in headings]


def test_the_citation_has_this_version():
    assert yaml.safe_load((REPOSITORY / 'CITATION.cff').read_text())['version'] == ca_hrnet_plugin.__version__
