"""Coordinate attention at work: its two gates, along height and width, over the network's input."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mmpose.apis import inference_topdown
from torch import Tensor, nn

from .style import COLOURS, paper_style

MIN_HALF_RANGE = 0.01  # of what is drawn: a gate that varies less is flat, and looks it


class Gates(NamedTuple):
    """What a CoordAttention module did to one input.

    ``rows`` (C, H) and ``columns`` (C, W) are its gates, ``crop`` (height, width, 3) the network's input as RGB from
    0 to 1, and ``module`` the module's name in the network.
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
    """Runs a top-down network on a person and records the gates of one of its attention modules.

    Args:
        model (nn.Module): It has modules of a class named CoordAttention, with ``gates(x)``.
        image (str | Path): An image file.
        bbox (Sequence[float], optional): The person, [left, top, width, height] in pixels of the image; the whole
            image by default.
        stage (int): The stage of the backbone.
        block (str, optional): Part of the module's name within the stage, such as ``'0.branches.0.3'``. By default,
            and where several fit, the last of those with the finest feature map is taken.

    Raises:
        ValueError: The image is missing or the box empty, or the network has no such module.
    """
    if not Path(image).is_file():
        raise ValueError(f'no image {image}')
    if bbox is not None and min(bbox[2:]) <= 0:
        raise ValueError(f'bbox {list(bbox)} is empty: give left, top, width and height')
    modules = attention_modules(model, stage, block)
    inputs, recorded = [], {}

    def keep_gates(name: str):
        def hook(module: nn.Module, arguments: tuple[Tensor]) -> None:
            # The first pass alone: in the second, of flip_test, the person is mirrored.
            if name not in recorded:
                recorded[name] = [gate[0].flatten(1).cpu().numpy() for gate in module.gates(*arguments)]

        return hook

    hooks = [module.register_forward_pre_hook(keep_gates(name)) for name, module in modules.items()]
    hooks.append(model.backbone.register_forward_pre_hook(lambda _, arguments: inputs.append(arguments[0][0])))
    try:
        inference_topdown(model, str(image), None if bbox is None else np.array([bbox], float), bbox_format='xywh')
    finally:
        for hook in hooks:
            hook.remove()
    finest = max(rows.shape[1] for rows, _ in recorded.values())
    name = [name for name, (rows, _) in recorded.items() if rows.shape[1] == finest][-1]
    return Gates(name, _as_rgb(inputs[0], model), *recorded[name])


def attention_modules(model: nn.Module, stage: int, block: str | None = None) -> dict[str, nn.Module]:
    """The attention modules of a stage by name, or those of them whose name holds ``block``.

    Raises:
        ValueError: There are none.
    """
    every = {name: module for name, module in model.named_modules() if type(module).__name__ == 'CoordAttention'}
    if not every:
        raise ValueError('this network has no CoordAttention: give a config of CA-HRNet')
    of_stage = {name: module for name, module in every.items() if f'.stage{stage}.' in name}
    chosen = {name: module for name, module in of_stage.items() if block is None or f'.{block}.' in f'{name}.'}
    if not chosen:
        names = list(of_stage or every)
        raise ValueError(
            f'no attention in stage {stage}, block {block}: there are {len(names)}, {names[0]} to {names[-1]}'
        )
    return chosen


def _as_rgb(image: Tensor, model: nn.Module) -> np.ndarray:
    """Undoes what the model's preprocessor did to the values and the order of colours."""
    preprocessor = model.data_preprocessor
    if hasattr(preprocessor, 'mean'):
        image = image * preprocessor.std + preprocessor.mean
    if not model.cfg.model.data_preprocessor.get('bgr_to_rgb'):
        image = image.flip(0)
    return (image / 255).clamp(0, 1).permute(1, 2, 0).cpu().numpy()


@paper_style
def draw_attention(recorded: Sequence[Gates]) -> Figure:
    """Draws for each input the crop, its two gates along the crop's sides, and their product over the crop.

    A gate is drawn for each channel, thin, and as the mean over them. The product is the mean over the channels of row
    gate times column gate: the factor by which the module multiplies that place.

    Args:
        recorded (Sequence[Gates]): What :func:`record_gates` gives.
    """
    crop_width = 1.35  # inches, as are all lengths here
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

        extent = (0, gates.columns.shape[1], gates.rows.shape[1], 0)  # of the feature map: a gate for each row, column
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
    """Draws (C, L), a gate over the L places of one axis of the feature map."""
    places = np.arange(gate.shape[1]) + 0.5
    for values, style in ((gate, dict(linewidth=0.3, alpha=0.4)), (gate.mean(axis=0, keepdims=True), {})):
        if along == 'x':
            axes.plot(places, values.T, color=COLOURS[0], **style)
        else:
            axes.plot(values.T, places, color=COLOURS[1], **style)
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
