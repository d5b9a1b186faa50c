import re

import numpy as np
import onnxruntime
import pytest
import torch
from mmpose.apis import init_model
from synthetic_crowd import make_synthetic_crowd

from ca_hrnet_plugin import config_path

DEMO = config_path('demo/ca_hrnet_w16_128x96')


@pytest.fixture
def config(tmp_path):
    """The demo's network without its DARK, which takes logarithms: random weights have no peaks for it."""
    path = tmp_path / 'config.py'
    path.write_text(f'_base_ = {DEMO!r}\nmodel = dict(head=dict(decoder=dict(unbiased=False)))')
    return path


@pytest.fixture
def checkpoint(config, tmp_path, monkeypatch):
    """Random weights, beside a drawn test set of a few people that the config finds."""
    make_synthetic_crowd(tmp_path / 'coco', num_train=1, num_val=1, progress=False)
    monkeypatch.setenv('CA_HRNET_DATA', str(tmp_path))
    torch.manual_seed(0)
    torch.save(init_model(str(config), device='cpu').state_dict(), tmp_path / 'weights.pth')
    return tmp_path / 'weights.pth'


def test_the_command_writes_a_checked_graph_of_more_crops_than_there_are_people(tool, config, checkpoint, tmp_path):
    target = tmp_path / 'new/folder/model.onnx'
    code, out, _ = tool('export', config, checkpoint, '--out', target, '--batch', 40, '--rounds', 1)
    assert code == 0
    assert re.search(r'OpenVINO +\S+ +\S+ +\S+ +0\.00', out)
    crops = np.zeros((40, 3, 128, 96), np.float32)
    (heatmaps,) = onnxruntime.InferenceSession(target).run(None, dict(crops=crops))
    assert heatmaps.shape == (40, 17, 32, 24)


def test_what_is_missing_is_said_in_one_line_and_nothing_is_written(tool, config, checkpoint, tmp_path, monkeypatch):
    (tmp_path / 'text.pth').write_text('not a checkpoint')
    for arguments, named in (
        ((config, tmp_path / 'nowhere.pth'), 'nowhere.pth'),
        ((config, tmp_path / 'text.pth'), ''),
        ((tmp_path / 'nowhere.py', checkpoint), 'nowhere.py'),
    ):
        code, *_ = tool('export', *arguments, '--out', tmp_path / 'model.onnx')
        assert code.startswith('not exported: ')
        assert named in code
    code, *_ = tool('export', DEMO, checkpoint, '--simcc', '--out', tmp_path / 'model.onnx')  # the demo has DARK
    assert code.startswith('not exported: SimCC vectors hold what MSRAHeatmap with unbiased=False decodes')
    monkeypatch.setenv('CA_HRNET_DATA', str(tmp_path / 'elsewhere'))
    code, *_ = tool('export', config, checkpoint, '--out', tmp_path / 'model.onnx')
    assert re.match('not exported: .*elsewhere', code)
    assert not (tmp_path / 'model.onnx').exists()
