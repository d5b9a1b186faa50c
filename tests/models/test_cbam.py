import numpy as np
import pytest
import torch
from timm.layers.cbam import CbamModule
from torch import nn

from ca_hrnet_plugin.models import CBAM

X = torch.randn(2, 64, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def equations_of_the_paper(attention: CBAM, x: np.ndarray) -> np.ndarray:
    """Equations 1 to 3 of Woo et al., 2018, in float64, pixel by pixel."""
    fc1, fc2, kernel = (tensor.double().numpy() for tensor in attention.state_dict().values())
    fc1, fc2, kernel = fc1[:, :, 0, 0], fc2[:, :, 0, 0], kernel[0]
    radius = kernel.shape[1] // 2

    out = np.empty_like(x)
    for n, image in enumerate(x):
        profiles = [image.mean(axis=(1, 2)), image.max(axis=(1, 2))]
        image = image * sigmoid(sum(fc2 @ np.maximum(fc1 @ profile, 0) for profile in profiles))[:, None, None]
        maps = np.pad([image.mean(axis=0), image.max(axis=0)], ((0, 0), (radius, radius), (radius, radius)))
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                window = maps[:, i : i + kernel.shape[1], j : j + kernel.shape[2]]
                out[n, :, i, j] = image[:, i, j] * sigmoid((kernel * window).sum())
    return out


@pytest.mark.parametrize('kernel_size', [3, 7])
def test_equals_the_equations_of_the_paper(kernel_size):
    attention = CBAM(64, kernel_size=kernel_size).double()
    np.testing.assert_allclose(attention(X).detach(), equations_of_the_paper(attention, X.numpy()), rtol=1e-12)


def test_equals_timm_without_its_norm():
    ours, theirs = CBAM(64, reduction=4).double(), CbamModule(64, rd_ratio=1 / 4).double()
    theirs.spatial.conv.bn = nn.Identity()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    torch.testing.assert_close(ours(X), theirs(X), rtol=1e-12, atol=1e-12)


def test_few_channels_keep_one_hidden_channel():
    assert CBAM(8, reduction=16)(torch.ones(1, 8, 3, 3)).shape == (1, 8, 3, 3)
