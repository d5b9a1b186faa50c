"""Decodes heatmaps inside a graph to SimCC vectors, which rtmlib's ``RTMPose`` and other RTMPose runtimes read."""

import numpy as np
import torch
from mmpose.codecs import MSRAHeatmap, UDPHeatmap
from mmpose.codecs.utils import get_simcc_maximum
from torch import Tensor, nn

SPLIT_RATIO = 2  # bins of a vector per pixel of the crop, as in RTMPose


class SimCC(nn.Module):
    """Decodes heatmaps as MMPose's ``MSRAHeatmap`` does, and returns the two vectors of SimCC.

    Each peak moves a quarter of a heatmap pixel towards its higher neighbour. That is a whole pixel of the crop, so the
    vectors hold it exactly: the score in the keypoint's bin, and 0 elsewhere.

    Args:
        codec (nn.Module): The decoder of a heatmap head.

    Raises:
        ValueError: The codec is not MMPose's plain heatmap at a quarter of the crop's size.
    """

    def __init__(self, codec: MSRAHeatmap):
        super().__init__()
        if not holds(codec):
            raise ValueError(
                'SimCC vectors hold what MSRAHeatmap with unbiased=False decodes, at a quarter of the size of the '
                f'crop: export heatmaps of this {type(codec).__name__} instead'
            )

    def forward(self, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
        """Maps heatmaps (N, K, H, W) to vectors (N, K, 8 W) and (N, K, 8 H)."""
        height, width = heatmaps.shape[2:]
        values = heatmaps.flatten(2)
        score, place = values.max(dim=2, keepdim=True)
        x, y = place % width, place // width

        def higher(step: int) -> Tensor:
            """1 where the next pixel is higher than the last, -1 where it is lower."""
            after = values.gather(2, (place + step).clamp(max=height * width - 1))
            before = values.gather(2, (place - step).clamp(min=0))
            return (after > before).long() - (after < before).long()

        # MMPose moves no peak at these borders.
        x_moves = (x > 1) & (x < width - 1) & (y > 0)
        y_moves = (y > 1) & (y < height - 1) & (x > 0)
        x_bin = SPLIT_RATIO * (4 * x + higher(1) * x_moves.long())
        y_bin = SPLIT_RATIO * (4 * y + higher(width) * y_moves.long())
        bins = torch.arange(4 * SPLIT_RATIO * max(height, width), device=heatmaps.device)
        return (
            score * (bins[: 4 * SPLIT_RATIO * width] == x_bin).to(score),
            score * (bins[: 4 * SPLIT_RATIO * height] == y_bin).to(score),
        )


def decode_simcc(vectors: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Decodes vectors as MMPose does, to keypoints (N, K, 2) in pixels of the crop and scores (N, K)."""
    places, scores = get_simcc_maximum(*vectors)
    return places / SPLIT_RATIO, scores


def holds(codec: nn.Module) -> bool:
    """Whether SimCC vectors hold what a codec decodes."""
    return type(codec) is MSRAHeatmap and not codec.unbiased and bool((codec.scale_factor == 4).all())


def rtmlib_class(codec: nn.Module) -> str:
    """Names the pose class of rtmlib that decodes as a codec does.

    Returns:
        str: ``'RTMPose'``, which reads SimCC vectors, or ``'ViTPose'``, which reads heatmaps.

    Raises:
        ValueError: rtmlib has no such class.
    """
    if holds(codec):
        return 'RTMPose'
    if isinstance(codec, UDPHeatmap) and codec.heatmap_type == 'gaussian' and codec.blur_kernel_size == 11:
        return 'ViTPose'
    raise ValueError(
        'rtmlib decodes MSRAHeatmap with unbiased=False, at a quarter of the size of the crop, and UDPHeatmap with '
        f"heatmap_type='gaussian' and blur_kernel_size=11: give a config with one of them, not this "
        f'{type(codec).__name__}'
    )
