import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmpose.apis import inference_topdown, init_model
from trained import look_trained

from ca_hrnet_plugin import CBasicBlock, config_path
from ca_hrnet_plugin.evaluation import GateStatistics
from ca_hrnet_plugin.models.gates import replaced_gates
from ca_hrnet_plugin.reporting import read_protocol
from ca_hrnet_plugin.reporting.gate_report import GATES, mean_gates, predict_with_gates

CONFIG = config_path('demo/ca_hrnet_w16_128x96_finetune')


@pytest.fixture
def model(drawn_data, monkeypatch):
    monkeypatch.setenv('CA_HRNET_DATA', str(drawn_data))
    return look_trained(init_model(CONFIG, device='cpu'))


def keypoints(poses):
    return np.array(sorted((pose['image_id'], *pose['keypoints']) for pose in poses))


@torch.no_grad()
def test_mean_gates_multiply_as_the_equations_say():
    random = torch.Generator().manual_seed(0)
    rows, columns = (torch.rand(size, dtype=torch.float64, generator=random) for size in ((3, 4, 1), (3, 1, 5)))
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=random)
    block = look_trained(CBasicBlock(3, 3)).double().eval()
    features = block.norm2(block.conv2(block.relu(block.norm1(block.conv1(x)))))
    factors = [float(rows[channel].mean() * columns[channel].mean()) for channel in range(3)]
    expected = {
        'mean profile': features * rows * columns,
        'mean channel': torch.stack([features[:, channel] * factors[channel] for channel in range(3)], 1),
        'one mean': features * sum(factors) / 3,
    }
    network = torch.nn.Sequential(block)
    gates = mean_gates({'0.ca.norm2': GateStatistics(rows, columns, 0, 0, 0)})
    assert gates.keys() == expected.keys()
    for name in expected:
        with replaced_gates(network, gates[name]):
            torch.testing.assert_close(network(x), (expected[name] + x).relu(), rtol=1e-6, atol=1e-6)


def test_own_gates_give_the_poses_of_mmpose_and_others_do_not(model):
    protocol = read_protocol(CONFIG)
    poses, _ = predict_with_gates(model, protocol, 4)
    model.test_cfg['flip_test'] = False
    dataset, expected = json.loads(Path(protocol.ann_file).read_text()), []
    for image in dataset['images']:
        boxes = [person['bbox'] for person in dataset['annotations'] if person['image_id'] == image['id']]
        for sample in inference_topdown(model, f'{protocol.image_dir}/{image["file_name"]}', boxes, 'xywh'):
            joints, scores = sample.pred_instances.keypoints, sample.pred_instances.keypoint_scores
            expected.append(np.append(image['id'], np.dstack([joints, scores])))
    close = {
        name: [np.isclose(row, expected, atol=0.01).mean(1).max() for row in keypoints(poses[name])] for name in GATES
    }
    # Not all numbers, because DARK enlarges rounding errors at the flat peaks that random weights give.
    assert min(close['own gates']) > 0.95
    for name in GATES[1:]:
        assert min(close[name]) < 0.9 and np.mean(np.equal(close[name], 1)) < 0.2, name


def test_other_gates_change_nothing_where_gates_see_nothing(model):
    for name, parameter in model.named_parameters():
        if name.endswith(('.conv_h.weight', '.conv_w.weight')):
            torch.nn.init.zeros_(parameter)  # leaves a bias for each channel
    poses, statistics = predict_with_gates(model, read_protocol(CONFIG), 4)
    own = keypoints(poses['own gates'])
    for name in ("another person's", 'mean profile', 'mean channel'):
        assert np.isclose(keypoints(poses[name]), own, atol=0.01).mean() > 0.99, name
    assert np.isclose(keypoints(poses['one mean']), own, atol=0.01).mean() < 0.5, 'channels differ'
    for module in statistics.values():
        assert module.over_people == pytest.approx(0, abs=1e-6) == module.over_positions
        assert module.over_channels > 0.01


def test_the_command_prints_both_tables(tool, model, tmp_path):
    torch.save(model.state_dict(), tmp_path / 'weights.pth')
    options = '--people', 4, '--resamples', 10
    code, out, _ = tool('attention_report', CONFIG, tmp_path / 'weights.pth', *options)
    assert code == 0
    lines = out.splitlines()
    for name in GATES[1:]:
        assert any(line.startswith(f'{name} - own gates, 95 % over images') for line in lines)
    (module,) = [line.split() for line in lines if line.startswith('stage4.0.branches.3.1.ca.norm2')]
    assert module[1:3] == ['128', '4x3']
