import pytest
import torch
from timm.layers.cbam import CbamModule
from torch import nn

from ca_hrnet_plugin.models import CBAM


@pytest.mark.parametrize('kernel_size', [3, 7])
def test_equals_timm_without_its_norm(kernel_size):
    ours = CBAM(64, reduction=4, kernel_size=kernel_size).double()
    theirs = CbamModule(64, rd_ratio=1 / 4, spatial_kernel_size=kernel_size).double()
    theirs.spatial.conv.bn = nn.Identity()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.randn(2, 64, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-12, atol=1e-12)


def test_few_channels_keep_one_hidden_channel():
    assert CBAM(8, reduction=16)(torch.ones(1, 8, 3, 3)).shape == (1, 8, 3, 3)
