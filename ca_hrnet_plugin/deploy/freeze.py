"""Freezes gates to their means, so that attention no longer depends on the person and costs nothing."""

import contextlib
import copy
import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from mmpose.registry import DATASETS
from torch import nn

from ..evaluation.evaluators import build_evaluator, coco_figures
from ..evaluation.gate_statistics import GateStatistics, gate_statistics
from ..evaluation.people import batches, dataset_of
from ..models.gates import attention_blocks


class Frozen(NamedTuple):
    """A network with frozen gates, and AP from 0 to 1 before and after."""

    model: nn.Module
    ap_before: float
    ap_after: float


def freeze_gates(
    model: nn.Module, data: Sequence[dict], evaluate: Callable[[nn.Module], float] | None = None
) -> Frozen:
    """Turns a trained CA-HRNet into a stock HRNet by making its gates constant.

    The mean gate of each channel over people and positions is folded into the norm before the attention. The copy has
    no attention: its state dict and its cost are those of stock HRNet.

    Args:
        model (nn.Module): A model of MMPose with CoordAttention, such as from ``init_model``. It is not changed.
        data (Sequence[dict]): People to average over: a data set of MMPose with the test pipeline. Give training data,
            as from :func:`~ca_hrnet_plugin.evaluation.training_people`, so that the test data stays unseen.
        evaluate (Callable, optional): Returns the AP of a network, from 0 to 1; by default on its config's test data.

    Raises:
        ValueError: The network has no CoordAttention, the data has no people, the config's evaluator gives no AP, or
            a norm has no weight and bias to fold a gate into.
    """
    if not len(data):
        raise ValueError('the data to average gates over has no people: give training data')
    evaluate = evaluate or average_precision
    training = model.training
    crops = (model.data_preprocessor(batch)['inputs'] for batch in batches(data))
    statistics = gate_statistics(model.eval().backbone, crops)
    model.train(training)
    frozen = with_constant_gates(model, statistics)
    return Frozen(frozen, evaluate(model), evaluate(frozen))


@torch.no_grad()
def with_constant_gates(model: nn.Module, statistics: dict[str, GateStatistics]) -> nn.Module:
    """A copy of a model in which each attention is replaced by its mean gates, folded into the norm before it."""
    model = copy.deepcopy(model)
    for name, block in attention_blocks(model.backbone).items():
        for place in list(block.ca):
            norm = getattr(block, place)
            if f'{name}.ca.{place}' not in statistics:
                raise ValueError(
                    f'backbone.{name}.ca.{place} cannot be frozen: only CoordAttention after a norm with weight and '
                    f'bias can, and this is {type(block.ca[place]).__name__} after {norm}'
                )
            factors = statistics[f'{name}.ca.{place}'].channel_factors()
            norm.weight.mul_(factors)
            norm.bias.mul_(factors)
            del block.ca[place]
    return model


def average_precision(model: nn.Module) -> float:
    """The AP of a network by its config's test data and evaluator, from 0 to 1."""
    dataset = DATASETS.build(dataset_of(model.cfg, 'test'))
    evaluator = build_evaluator(model.cfg.test_evaluator)
    evaluator.dataset_meta = dataset.metainfo
    for batch in batches(dataset):
        evaluator.process(model.test_step(batch), batch)
    with contextlib.redirect_stdout(io.StringIO()):  # COCOeval prints its table
        figures = evaluator.evaluate(len(dataset))
    if 'AP' in coco_figures(figures):
        return coco_figures(figures)['AP']
    given = f'{", ".join(figures)} but no AP' if figures else 'no figures (format_only)'
    raise ValueError(f'test_evaluator gives {given}: give an evaluator that reports AP')
