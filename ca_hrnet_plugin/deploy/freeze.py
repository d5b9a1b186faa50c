"""Gates frozen to what they are on average: attention that no longer looks at the person, and costs little."""

import contextlib
import copy
import io
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmpose.registry import DATASETS
from torch import Tensor, nn
from torch.utils.data import Subset

from ..models import CBasicBlock, CoordAttention, GateProfiles

FORMS = ('profile', 'channel', 'constant')


class GateStatistics(NamedTuple):
    """The gates of one module over people, and the standard deviations of their product.

    ``rows`` (C, H, 1) and ``columns`` (C, 1, W) are the means over people. ``over_people`` is how the product of both
    varies from person to person at one place of one channel, on average; the other two likewise.
    """

    rows: Tensor
    columns: Tensor
    over_people: float
    over_positions: float
    over_channels: float


class Frozen(NamedTuple):
    """A network with frozen gates, the names of the modules that are frozen, and AP from 0 to 1 before and after."""

    model: nn.Module
    modules: list[str]
    ap_before: float
    ap_after: float


def freeze_gates(
    model: nn.Module,
    data: Sequence[dict],
    form: str = 'profile',
    max_drop: float | None = None,
    evaluate: Callable[[nn.Module], float] | None = None,
) -> Frozen:
    """Makes a copy of a trained CA-HRNet whose gates are constants.

    As ``'profile'`` each row and each column keeps its mean gate, in a :class:`GateProfiles`: for one input size, and
    without pooling or convolutions. As ``'channel'`` each channel keeps one factor, which is folded into the norm
    before: the copy has no attention, and its state dict is one of stock HRNet, at HRNet's price.

    Args:
        model (nn.Module): A model of MMPose with CoordAttention, such as from ``init_model``; it is left as it is.
        data (Sequence[dict]): People to take the means over: a data set of MMPose, by the test pipeline. Give training
            data, as :func:`training_people` does, so that the test stays one.
        form (str): ``'profile'`` or ``'channel'``; ``'constant'`` is one factor a module.
        max_drop (float, optional): By how many points of AP, of 100, the copy may be worse. Modules are then frozen in
            the order of how little their gates vary from person to person, as many as that allows. All by default.
        evaluate (Callable, optional): The AP of a network, from 0 to 1; that of its config's test by default.

    Raises:
        ValueError: There is no CoordAttention, no such form, nobody in the data, no AP in the config's test, or no
            affine norm to fold a factor into.
    """
    _check_form(form)
    if not len(data):
        raise ValueError('there is nobody in the data to take the mean gates over')
    statistics = gate_statistics(model, data)
    evaluate = evaluate or average_precision
    names = sorted(statistics, key=lambda name: statistics[name].over_people)
    before = evaluate(model)

    def first(number: int) -> tuple[nn.Module, float]:
        frozen = with_frozen_gates(model, {name: statistics[name] for name in names[:number]}, form)
        return frozen, evaluate(frozen)

    number = len(names)
    frozen, after = first(number)
    if max_drop is not None and before - after > max_drop / 100:
        number, too_many = 0, len(names)
        frozen, after = copy.deepcopy(model), before
        while too_many - number > 1:
            middle = (number + too_many) // 2
            candidate, ap = first(middle)
            if before - ap > max_drop / 100:
                too_many = middle
            else:
                number, frozen, after = middle, candidate, ap
    return Frozen(frozen, names[:number], before, after)


def with_frozen_gates(model: nn.Module, statistics: dict[str, GateStatistics], form: str) -> nn.Module:
    """A copy of a model in which the named modules have constant gates; see :func:`freeze_gates`."""
    _check_form(form)
    model = copy.deepcopy(model)
    places = attention_places(model)
    for name, found in statistics.items():
        block, place = places[name]
        if form == 'profile':
            profiles = GateProfiles.of(found.rows, found.columns)
            block.ca[place] = profiles.to(next(block.ca[place].parameters())).train(model.training)
            continue
        norm = getattr(block, place)
        if getattr(norm, 'weight', None) is None or getattr(norm, 'bias', None) is None:
            raise ValueError(f"{norm} before {name} has no affine weight and bias to fold a gate into: give 'profile'")
        factor = (found.rows.mean(1) * found.columns.mean(2))[:, 0]
        if form == 'constant':
            factor = factor.mean().expand_as(factor)
        with torch.no_grad():
            norm.weight.mul_(factor)
            norm.bias.mul_(factor)
        del block.ca[place]
    return model


def _check_form(form: str) -> None:
    if form not in FORMS:
        raise ValueError(f'form={form!r} of frozen gates: give one of {", ".join(FORMS)}')


def attention_places(model: nn.Module) -> dict[str, tuple[CBasicBlock, str]]:
    """The block and the place of each CoordAttention, by its name in the model.

    Raises:
        ValueError: There is none.
    """
    found = {
        f'{name}.ca.{place}': (block, place)
        for name, block in model.named_modules()
        if isinstance(block, CBasicBlock)
        for place, attention in block.ca.items()
        if isinstance(attention, CoordAttention)
    }
    if not found:
        raise ValueError('this network has no CoordAttention: give a config of CA-HRNet')
    return found


@torch.no_grad()
def gate_statistics(model: nn.Module, data: Sequence[dict]) -> dict[str, GateStatistics]:
    """The means and deviations of each module's gates over people; see :func:`freeze_gates`."""
    sums = {}

    def add(name: str) -> Callable:
        def hook(module: CoordAttention, arguments: tuple[Tensor]) -> None:
            rows, columns = (gate.double() for gate in module.gates(*arguments))
            product = rows * columns
            parts = (
                rows.sum(0),
                columns.sum(0),
                product.sum(0),
                product.square().sum(0),
                product.flatten(2).std(2, correction=0).mean(1).sum(),
                product.std(1, correction=0).mean((1, 2)).sum(),
            )
            sums[name] = [old + new for old, new in zip(sums.get(name, [0] * len(parts)), parts, strict=True)]

        return hook

    was_training = model.training
    model.eval()
    hooks = [
        block.ca[place].register_forward_pre_hook(add(name)) for name, (block, place) in attention_places(model).items()
    ]
    try:
        for batch in batches(data):
            model.backbone(model.data_preprocessor(batch)['inputs'])
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
    return {
        name: GateStatistics(
            rows / len(data),
            columns / len(data),
            float((squares / len(data) - (products / len(data)).square()).clamp(min=0).sqrt().mean()),
            float(over_positions / len(data)),
            float(over_channels / len(data)),
        )
        for name, (rows, columns, products, squares, over_positions, over_channels) in sums.items()
    }


def training_people(model: nn.Module, limit: int = 1000) -> Subset:
    """Some people of the training data of a model's config, drawn at random, by the test's pipeline."""
    pipeline = model.cfg.test_dataloader.dataset.pipeline
    dataset = DATASETS.build({**model.cfg.train_dataloader.dataset, 'pipeline': pipeline})
    chosen = np.random.default_rng(0).permutation(len(dataset))[:limit]
    return Subset(dataset, chosen)


def average_precision(model: nn.Module) -> float:
    """AP of a network on its config's test data, by its config's evaluator, from 0 to 1."""
    dataset = DATASETS.build(model.cfg.test_dataloader.dataset)
    evaluator = Evaluator(model.cfg.test_evaluator)
    evaluator.dataset_meta = dataset.metainfo
    for batch in batches(dataset):
        evaluator.process(model.test_step(batch), batch)
    with contextlib.redirect_stdout(io.StringIO()):  # COCOeval prints its table
        figures = evaluator.evaluate(len(dataset))
    for name, value in figures.items():
        if name.endswith('/AP'):
            return value
    raise ValueError(f'the test of this config gives {", ".join(figures)} and no AP: give a test_evaluator that does')


def batches(data: Sequence[dict], size: int = 32) -> Iterator[dict]:
    """People in batches of at most ``size``, as equal as can be."""
    for indices in np.array_split(np.arange(len(data)), -(-len(data) // size)):
        yield pseudo_collate([data[int(index)] for index in indices])
