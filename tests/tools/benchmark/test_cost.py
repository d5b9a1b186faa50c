import pytest
import torch
from benchmark import VARIANTS, build_pose_model, count_kernels, measure_saved_bytes

from ca_hrnet_plugin import config_path

CONFIG = config_path('ca_hrnet_w32_coco_256x192')
CROPS = torch.randn(1, 3, 256, 192)


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last], ids=str)
def test_training_keeps_little_more_than_hrnet_and_less_than_any_other_form(memory_format):
    kept = {}
    crops = CROPS.to(memory_format=memory_format)
    for variant in VARIANTS:
        model = build_pose_model(CONFIG, variant).to(memory_format=memory_format)
        kept[variant] = measure_saved_bytes(model, lambda model=model: model.backbone(crops))
    assert kept['CA-HRNet'] <= 1.1 * kept['HRNet']
    assert min(kept['official form'], kept['timm form']) >= 1.25 * kept['HRNet']


def test_inference_calls_no_more_operators_than_any_other_form():
    calls = {}
    for variant in VARIANTS:
        model = build_pose_model(CONFIG, variant)
        model.eval()
        with torch.no_grad():
            calls[variant] = count_kernels(lambda model=model: model.backbone(CROPS))
    assert calls['HRNet'] < calls['CA-HRNet'] <= min(calls['official form'], calls['timm form'])


def test_saved_bytes_are_those_that_autograd_keeps():
    first, second = torch.nn.Linear(4, 8, bias=False), torch.nn.Linear(8, 2, bias=False)
    network = torch.nn.Sequential(first, torch.nn.Sigmoid(), second)
    x = torch.randn(3, 4)
    # The input for the first layer's weight, and the sigmoid's output for itself and for the second's, once.
    assert measure_saved_bytes(network, lambda: network(x)) == 4 * (3 * 4 + 3 * 8)
