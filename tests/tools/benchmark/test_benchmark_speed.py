import json

import pytest
import torch
from benchmark import VARIANTS, build_pose_model, measure_peak_memory
from mmpose.models.backbones.hrnet import HRNet

from ca_hrnet_plugin import config_path

NARROW = config_path('demo/ca_hrnet_w16_128x96_finetune')


def test_the_command_prints_each_figure_and_writes_it(tool, tmp_path):
    arguments = ('--config', NARROW, '--parts', 'backbone', '--rounds', 1)
    variants = ('--variants', 'CA-HRNet', 'frozen')
    code, out, _ = tool('benchmark_speed', *arguments, *variants, '--device', 'cpu', '--out', tmp_path / 'figures.json')
    assert code == 0
    rows = json.loads((tmp_path / 'figures.json').read_text())['figures']
    seen = {(row['task'], row['part'], row['variant']) for row in rows}
    rivals = {('training', 'CA-HRNet'), ('inference', 'CA-HRNet'), ('inference', 'frozen')}
    expected = {(task, 'backbone', name) for task, name in rivals}
    assert {row for row in seen if row[2] != 'HRNet'} == expected
    for row in rows:
        assert row['ratio'] == 1 or row['variant'] != 'HRNet'
        assert row['peak_bytes'] > 0
        assert (row['saved_bytes'] is None) == (row['task'] == 'inference')
        assert f'{row["ratio"]:.2f}' in out
        assert row['kernels'] > 0


@pytest.mark.parametrize(
    'arguments, message',
    [
        (('--modes', 'CUDA graph'), 'CUDA graph is for CUDA'),
        (('--dtypes', 'bfloat16', '--parts', 'model'), 'NumPy, which has no bfloat16'),
        (('--config', 'nowhere.py'), 'nowhere.py'),
    ],
)
def test_an_impossible_combination_is_named_in_one_line(tool, arguments, message):
    code, *_ = tool('benchmark_speed', '--config', NARROW, '--device', 'cpu', '--rounds', 1, *arguments)
    assert message in code
    assert '\n' not in code


@pytest.mark.parametrize('variant', VARIANTS)
def test_variants_differ_in_their_attention_alone(variant):
    """In a config with attention in only one stage."""
    config = config_path('ablation/ca_hrnet_w32_coco_256x192_stage4')
    backbone = build_pose_model(config, variant).backbone
    stages = {name.split('.')[0] for name, _ in backbone.named_modules() if '.ca.' in name}
    assert stages == (set() if variant in ('HRNet', 'frozen') else {'stage4'})
    assert (type(backbone) is HRNet) == (variant == 'HRNet')


def test_peak_memory_is_that_of_tensors_held_at_once():
    def two_then_one():
        first, second = torch.ones(1000, 1000), torch.ones(1000, 1000)
        del first, second
        return torch.ones(1000, 1000)

    assert measure_peak_memory(two_then_one) == 2 * 4_000_000
    x = torch.ones(1000, 1000)
    assert measure_peak_memory(lambda: x.logsumexp(1)) >= 4_000_000, 'it holds the exponentials for a moment'
