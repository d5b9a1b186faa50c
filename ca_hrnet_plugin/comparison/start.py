"""Whether the networks of a comparison start with the outputs of the baseline."""

import contextlib
import copy
import io

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmpose.registry import DATASETS, MODELS
from torch import Tensor

from ..checkpoints.fit import fit_of
from ..reporting.comparison_files import ComparisonFiles

NUM_SAMPLES = 4


def pretrained_networks(files: ComparisonFiles) -> list[str]:
    """The networks that start from weights of a checkpoint: those of ``files.starts``, and others by ``init_cfg``."""
    return [network for network in files.networks if network in files.starts or _names_weights(files, network)]


def _names_weights(files: ComparisonFiles, network: str) -> bool:
    model = _config(files, network).model
    return any('Pretrained' in str(part.get('init_cfg')) for part in (model, model.backbone))  # a dict or a list


def filled_networks(files: ComparisonFiles) -> list[str]:
    """The networks that their starting checkpoint fills. Others have a new head, for other keypoints."""
    return [
        network for network, start in files.starts.items() if fit_of(_config(files, network), start).problem is None
    ]


def different_results(files: ComparisonFiles) -> list[str]:
    """The networks whose result on the test data, at the start, is not the same file as the baseline's."""
    results = {network: _result(files, network) for network in files.networks if files.is_done(network, 'start')}
    baseline = results.get(files.networks[0])
    return [network for network, result in results.items() if result != baseline]


def _result(files: ComparisonFiles, network: str) -> bytes:
    poses = files.poses(network, 'start')
    return (poses if poses.is_file() else files.metrics(network, 'start')).read_bytes()


def different_features(files: ComparisonFiles) -> list[str]:
    """The networks whose feature maps of some test images, at the start, are not the baseline's to the last bit."""
    features = {network: _features(files, network) for network in pretrained_networks(files)}
    baseline = features.get(files.networks[0])
    return [
        network
        for network, maps in features.items()
        if baseline is None or not all(map(torch.equal, maps, baseline)) or len(maps) != len(baseline)
    ]


@torch.no_grad()
def _features(files: ComparisonFiles, network: str) -> list[Tensor]:
    cfg = _config(files, network)
    model = MODELS.build(copy.deepcopy(cfg.model)).eval()
    with contextlib.redirect_stdout(io.StringIO()):  # MMEngine and COCO print which files they load
        if network in files.starts:
            load_checkpoint(model, files.starts[network], map_location='cpu', strict=False, logger='silent')
        else:
            model.init_weights()
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
    batch = pseudo_collate([dataset[index] for index in range(min(NUM_SAMPLES, len(dataset)))])
    return list(model.backbone(model.data_preprocessor(batch)['inputs']))


def _config(files: ComparisonFiles, network: str) -> Config:
    cfg = Config.fromfile(files.config(network, 'start'))
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    return cfg
