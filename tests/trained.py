"""Networks with weights as after training, without a training."""

import torch
from torch import nn


@torch.no_grad()
def look_trained(module: nn.Module, seed: int = 0) -> nn.Module:
    """Weights, biases and norm statistics drawn at random, of the size that training leaves."""
    random = torch.Generator().manual_seed(seed)
    for child in module.modules():
        if isinstance(child, nn.Conv2d):
            child.weight.normal_(0, child.weight[0].numel() ** -0.5, generator=random)
            if child.bias is not None:
                child.bias.uniform_(-0.5, 0.5, generator=random)
        elif isinstance(child, nn.BatchNorm2d):
            child.weight.uniform_(0.3, 1.2, generator=random)
            child.bias.uniform_(-0.5, 0.5, generator=random)
            child.running_mean.uniform_(-0.5, 0.5, generator=random)
            child.running_var.uniform_(0.5, 2, generator=random)
    return module
