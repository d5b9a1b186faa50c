import json

import pytest
import torch
from benchmark import (
    VARIANTS,
    build_pose_model,
    count_kernels,
    measure_peak_memory,
    time_side_by_side,
)
from mmpose.models.backbones.hrnet import HRNet

from ca_hrnet_plugin import config_path

NARROW = config_path('demo/ca_hrnet_w16_128x96')


def test_the_command_prints_each_figure_and_writes_it(tool, tmp_path):
    arguments = ('--config', NARROW, '--parts', 'backbone', 'model', '--rounds', 2)
    variants = ('--variants', 'CA-HRNet', 'frozen')
    code, out, _ = tool('benchmark_speed', *arguments, *variants, '--device', 'cpu', '--out', tmp_path / 'figures.json')
    assert code == 0
    rows = json.loads((tmp_path / 'figures.json').read_text())['figures']
    seen = {(row['task'], row['part'], row['variant']) for row in rows}
    rivals = {('training', 'CA-HRNet'), ('inference', 'CA-HRNet'), ('inference', 'frozen')}
    expected = {(task, part, name) for task, name in rivals for part in ('backbone', 'model')}
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


def test_figures_measured_before_an_error_are_kept(tool, tmp_path):
    arguments = ('--config', NARROW, '--device', 'cpu', '--rounds', 1, '--variants', 'HRNet')
    code, *_ = tool('benchmark_speed', *arguments, '--modes', 'fused', '--out', tmp_path / 'figures.json')
    assert code == 'fused is for inference'
    assert {row['task'] for row in json.loads((tmp_path / 'figures.json').read_text())['figures']} == {'inference'}


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


def test_views_are_not_counted_as_kernels():
    assert count_kernels(lambda: torch.ones(4).view(2, 2).t() + 1) == 2


def test_each_function_is_timed_next_to_its_own_baseline():
    """On a machine that becomes slower, and where the first call after another function takes longer."""
    now, last = [0.0], [None]

    def function(name: str, seconds: float):
        def call():
            now[0] += seconds * (1 + now[0] / 1000) * (1 if last[0] == name else 100)
            last[0] = name

        return call

    functions = {name: function(name, seconds) for name, seconds in dict(stock=0.01, twice=0.02, half=0.005).items()}
    timings = time_side_by_side(functions, dict(twice='stock', half='stock'), rounds=4, clock=lambda: now[0])
    assert timings['stock'].seconds[-1] > timings['stock'].seconds[0]
    assert len(timings['stock'].seconds) == 2 * len(timings['twice'].seconds) == 8
    assert timings['stock'].ratios == []
    for name, expected in dict(twice=2, half=0.5).items():
        # In half of the rounds the function is before its baseline.
        assert sum(timings[name].ratios) / 4 == pytest.approx(expected, rel=0.1)
