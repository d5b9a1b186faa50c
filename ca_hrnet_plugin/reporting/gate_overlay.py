"""Draws the gates of coordinate attention over one input of the network."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mmpose.apis import inference_topdown
from torch import Tensor, nn

from ..models.gates import recorded_gates
from .style import COLOURS, paper_style

MIN_HALF_RANGE = 0.01  # of an axis or colour scale, so that a gate that hardly varies looks flat


class Gates(NamedTuple):
    """The gates of a CoordAttention module for one person.

    Attributes:
        module (str): The module's name in the backbone.
        crop (np.ndarray): The network's input as RGB from 0 to 1, (height, width, 3).
        rows (np.ndarray): The gate of each row of the feature map, (C, H).
        columns (np.ndarray): The gate of each column, (C, W).
    """

    module: str
    crop: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


def record_gates(
    model: nn.Module,
    image: str | Path,
    bbox: Sequence[float] | None = None,
    stage: int = 4,
    block: str | None = None,
) -> Gates:
    """Runs a top-down network on a person, and records the gates of one of its attention modules.

    Args:
        model (nn.Module): A model from MMPose's ``init_model``, with CoordAttention in its backbone.
        image (str | Path): An image file.
        bbox (Sequence[float], optional): The person, [left, top, width, height] in pixels of the image; the whole
            image by default.
        stage (int): The stage of the backbone.
        block (str, optional): Part of the module's name within the stage, such as ``'0.branches.0.3'``. If several
            modules match, or by default, the last module with the finest feature map is taken.

    Raises:
        ValueError: The image is not found, the box is empty, or the network has no such module.
    """
    if not Path(image).is_file():
        raise ValueError(f'image {image} not found: give an image file')
    if bbox is not None and min(bbox[2:]) <= 0:
        raise ValueError(f'bbox {list(bbox)} is empty: give left, top, width and height')
    crops = []
    hook = model.backbone.register_forward_pre_hook(lambda _, arguments: crops.append(arguments[0]))
    try:
        inference_topdown(model, str(image), None if bbox is None else np.array([bbox], float), bbox_format='xywh')
    finally:
        hook.remove()
    with recorded_gates(model.backbone) as gates, torch.no_grad():
        model.backbone(crops[0])  # only the first crop: in the second, flip test mirrors the person
    names = _matching(list(gates), stage, block)
    heights = {name: gates[name][0].shape[2] for name in names}
    finest = [name for name in names if heights[name] == max(heights.values())][-1]
    rows, columns = (gate[0].flatten(1).cpu().numpy() for gate in gates[finest])
    return Gates(finest, _as_rgb(crops[0][0], model), rows, columns)


def _matching(names: list[str], stage: int, block: str | None) -> list[str]:
    """The names in a stage, or only those that contain ``block``."""
    in_stage = [name for name in names if name.startswith(f'stage{stage}.')]
    matching = [name for name in in_stage if block is None or f'.{block}.' in name]
    if not matching:
        known = in_stage or names
        raise ValueError(
            f'no attention in stage {stage}, block {block}: give one of {len(known)}, {known[0]} to {known[-1]}'
        )
    return matching


def _as_rgb(image: Tensor, model: nn.Module) -> np.ndarray:
    """A crop (3, height, width) as it was before the model's preprocessor, in RGB from 0 to 1."""
    preprocessor = model.data_preprocessor
    if hasattr(preprocessor, 'mean'):
        image = image * preprocessor.std + preprocessor.mean
    if not model.cfg.model.data_preprocessor.get('bgr_to_rgb'):
        image = image.flip(0)
    return (image / 255).clamp(0, 1).permute(1, 2, 0).cpu().numpy()


@paper_style
def draw_gates(recorded: Sequence[Gates]) -> Figure:
    """Draws each input with its two gates along its sides, and once more with their product over it.

    Each thin line is the gate of a channel, and the thick line is the mean over channels. The product is row gate times
    column gate, averaged over channels: the factor by which the module multiplies that position.

    Args:
        recorded (Sequence[Gates]): The gates for each person, from :func:`record_gates`.
    """
    crop_width = 1.35  # in inches, as all lengths here
    profile, gap, title = 0.6, 0.08, 0.3
    crop_heights = [crop_width * gates.crop.shape[0] / gates.crop.shape[1] for gates in recorded]
    row_heights = [title + profile + gap + crop_height + 0.4 for crop_height in crop_heights]
    margin = 0.4
    width, height = margin + 2 * crop_width + profile + 3 * gap + 0.6, sum(row_heights)
    figure = Figure(figsize=(width, height))

    def add_axes(left: float, bottom: float, axes_width: float, axes_height: float, **kwargs):
        place = left / width, bottom / height, axes_width / width, axes_height / height
        return figure.add_axes(place, **kwargs)

    bottom = height
    for gates, crop_height, row_height in zip(recorded, crop_heights, row_heights, strict=True):
        bottom -= row_height
        low, left = bottom + 0.4, margin
        crop = add_axes(left, low, crop_width, crop_height)
        top = add_axes(left, low + crop_height + gap, crop_width, profile, sharex=crop)
        side = add_axes(left + crop_width + gap, low, profile, crop_height, sharey=crop)
        over = add_axes(left + crop_width + profile + 3 * gap, low, crop_width, crop_height)
        scale = add_axes(left + 2 * crop_width + profile + 4 * gap, low, 0.07, crop_height)

        extent = (0, gates.columns.shape[1], gates.rows.shape[1], 0)  # in rows and columns of the feature map
        crop.imshow(gates.crop, extent=extent, aspect='auto')
        crop.set(xticks=[], yticks=[])
        _draw_profile(top, gates.columns, along='x')
        _draw_profile(side, gates.rows, along='y')
        top.set_title(f'{gates.module}  ({gates.rows.shape[0]} channels)', loc='left', fontsize=6.5)
        crop.set_xlabel('input', fontsize=7)

        product = np.einsum('ch,cw->hw', gates.rows, gates.columns) / len(gates.rows)
        over.imshow(gates.crop.mean(axis=2), extent=extent, aspect='auto', cmap='gray')
        low_high = dict(zip(('vmin', 'vmax'), _limits(product), strict=True))
        heat = over.imshow(product, extent=extent, aspect='auto', cmap='viridis', alpha=0.6, **low_high)
        over.set(xticks=[], yticks=[])
        over.set_xlabel('row gate x column gate', fontsize=7)
        figure.colorbar(heat, cax=scale, ticks=MaxNLocator(4)).ax.tick_params(labelsize=6)
    return figure


def _draw_profile(axes: Axes, gate: np.ndarray, along: str) -> None:
    """Draws a gate (C, L) over the L rows or columns of the feature map."""
    positions = np.arange(gate.shape[1]) + 0.5
    for values, style in ((gate, dict(linewidth=0.3, alpha=0.4)), (gate.mean(axis=0, keepdims=True), {})):
        if along == 'x':
            axes.plot(positions, values.T, color=COLOURS[0], **style)
        else:
            axes.plot(values.T, positions, color=COLOURS[1], **style)
    if along == 'x':
        axes.set_ylim(_limits(gate))
        axes.text(1.04, 0.5, 'column gate', transform=axes.transAxes, va='center', fontsize=7)
    else:
        axes.set_xlim(_limits(gate))
        axes.set_xlabel('row gate', fontsize=7)
    (axes.yaxis if along == 'x' else axes.xaxis).set_major_locator(MaxNLocator(2))
    axes.tick_params(labelbottom=along == 'y', labelleft=along == 'x', labelsize=6)
    axes.tick_params(axis=along, length=0)


def _limits(values: np.ndarray) -> tuple[float, float]:
    middle, half = (values.max() + values.min()) / 2, np.ptp(values) / 2
    half = max(1.05 * half, MIN_HALF_RANGE)
    return middle - half, middle + half
