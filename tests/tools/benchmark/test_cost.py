import pytest
import torch
from benchmark import VARIANTS, build_pose_model, measure_saved_bytes

from ca_hrnet_plugin import config_path

CONFIG = config_path('demo/ca_hrnet_w16_128x96_finetune')
CROPS = torch.randn(1, 3, 128, 96)


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last], ids=str)
def test_training_saves_no_more_activations_than_other_forms(memory_format):
    saved = {}
    crops = CROPS.to(memory_format=memory_format)
    for variant in VARIANTS:
        model = build_pose_model(CONFIG, variant).to(memory_format=memory_format)
        saved[variant] = measure_saved_bytes(model, lambda model=model: model.backbone(crops))
    # Except for what pooling saves in the other forms.
    assert saved['CA-HRNet'] <= 1.01 * min(saved['official form'], saved['timm form'])


def test_saved_bytes_are_those_that_autograd_keeps():
    first, second = torch.nn.Linear(4, 8, bias=False), torch.nn.Linear(8, 2, bias=False)
    network = torch.nn.Sequential(first, torch.nn.Sigmoid(), second)
    x = torch.randn(3, 4)
    # The input for the first layer's weight, and the sigmoid's output for itself and for the second's, once.
    assert measure_saved_bytes(network, lambda: network(x)) == 4 * (3 * 4 + 3 * 8)
