"""The effect of a trained CA-HRNet's gates: its AP with other gates in their place, and how much the gates vary."""

import copy
from tempfile import TemporaryDirectory

import numpy as np
from mmpose.evaluation.metrics import CocoMetric
from mmpose.registry import DATASETS
from rich.progress import track
from torch import Tensor, nn
from torch.utils.data import Subset

from ..evaluation import AREAS, GateStatistics, gate_statistics, level_splits
from ..evaluation.coco_files import read_json
from ..evaluation.people import batches, dataset_of, training_people
from ..models.gates import recorded_gates, replaced_gates
from .protocol import Protocol
from .results import evaluate_poses
from .table import Row, compare

OWN, SHUFFLED = 'own gates', "another person's"
MEANS = 'mean profile', 'mean channel', 'one mean'
GATES = (OWN, SHUFFLED, *MEANS)
MODULE_HEADERS = ['module', 'channels', 'map', 'mean', 'over people', 'over positions', 'over channels']


def report_gates(
    model: nn.Module, protocol: Protocol, num_training_people: int = 1000, num_resamples: int = 1000
) -> tuple[list[Row], dict[str, GateStatistics]]:
    """Compares a network with itself under other gates, on its config's test data, without flip test.

    ``"another person's"`` are the network's gates for a person drawn at random from the test data. The mean gates are
    those of :func:`mean_gates` over training people.

    Args:
        model (nn.Module): A model of MMPose with CoordAttention, with its config as ``cfg``. It stays unchanged.
        protocol (Protocol): The protocol of that config, from :func:`.read_protocol`.
        num_training_people (int): The number of people whose gates are averaged.
        num_resamples (int): Resamples of the paired bootstrap over images.

    Returns:
        tuple[list[Row], dict[str, GateStatistics]]: A row for each of ``GATES``, with differences to the first, and the
        statistics of each module by its name in the backbone.

    Raises:
        ValueError: The network has no CoordAttention, or the test data has fewer than two people.
    """
    poses, statistics = predict_with_gates(model, protocol, num_training_people)
    splits = [*AREAS, *level_splits()]
    results = [evaluate_poses(gates, poses[gates], protocol, splits) for gates in GATES]
    return compare(results, num_resamples, progress=True), statistics


def predict_with_gates(
    model: nn.Module, protocol: Protocol, num_training_people: int = 1000
) -> tuple[dict[str, list[dict]], dict[str, GateStatistics]]:
    """A COCO keypoint result for each of ``GATES``, and the statistics of each module; see :func:`report_gates`."""
    model = copy.deepcopy(model).eval()
    model.test_cfg = {**(model.test_cfg or {}), 'flip_test': False}
    crops = (model.data_preprocessor(batch)['inputs'] for batch in batches(training_people(model, num_training_people)))
    statistics = gate_statistics(model.backbone, crops)
    constants = mean_gates(statistics)
    people = DATASETS.build(dataset_of(model.cfg, 'test'))
    if len(people) < 2:
        raise ValueError(f'{protocol.ann_file} has {len(people)} people to test on: give two or more')
    # In random order, because the people of one image come one after the other.
    people = Subset(people, np.random.default_rng(0).permutation(len(people)))
    samples = {gates: [] for gates in GATES}
    num_batches = -(-len(people) // 32)
    for batch in track(batches(people), 'testing', total=num_batches):
        with recorded_gates(model.backbone) as own:
            samples[OWN] += _predict(model, batch)
        shuffled = {name: (rows.roll(1, 0), columns.roll(1, 0)) for name, (rows, columns) in own.items()}
        for name, gates in {SHUFFLED: shuffled, **constants}.items():
            with replaced_gates(model.backbone, gates):
                samples[name] += _predict(model, batch)
    return {name: keypoint_results(predictions, protocol) for name, predictions in samples.items()}, statistics


def mean_gates(statistics: dict[str, GateStatistics]) -> dict[str, dict[str, tuple[Tensor, Tensor]]]:
    """Gates of rows and columns that are the same for all people, by module.

    - ``'mean profile'``: each row and each column of a channel has its mean gate.
    - ``'mean channel'``: each channel has one factor, its mean row gate times its mean column gate.
    - ``'one mean'``: the module has one factor, the mean of these over channels.
    """
    profiles, channels, factors = {}, {}, {}
    for name, module in statistics.items():
        rows, columns = module.rows.float(), module.columns.float()
        factor = module.channel_factors().float()[:, None, None]
        ones = factor.new_ones(1, 1, 1)
        profiles[name] = rows, columns
        channels[name] = factor, ones
        factors[name] = factor.mean() * ones, ones
    return dict(zip(MEANS, (profiles, channels, factors), strict=True))


def keypoint_results(samples: list[dict], protocol: Protocol) -> list[dict]:
    """Turns predictions into a COCO keypoint result, as MMPose's CocoMetric does."""
    with TemporaryDirectory() as folder:
        metric = CocoMetric(
            ann_file=protocol.ann_file,
            iou_type=protocol.iou_type,
            use_area=protocol.use_area,
            format_only=True,
            outfile_prefix=f'{folder}/results',
        )
        metric.dataset_meta = protocol.metainfo
        metric.process({}, samples)
        metric.evaluate(len(samples))
        return read_json(f'{folder}/results.keypoints.json', 'a COCO keypoint result')


def _predict(model: nn.Module, batch: dict) -> list[dict]:
    return [sample.to_dict() for sample in model.test_step(batch)]  # as MMPose's metrics take them


def module_rows(statistics: dict[str, GateStatistics]) -> list[list]:
    """A row for each module: name, channels, size of its map, its mean gate, and how much the gate varies."""
    rows = []
    for name, module in statistics.items():
        channels, map_size = len(module.rows), f'{module.rows.shape[1]}x{module.columns.shape[2]}'
        mean = float(module.channel_factors().mean())
        rows.append([name, channels, map_size, mean, module.over_people, module.over_positions, module.over_channels])
    return rows
