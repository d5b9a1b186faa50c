"""The people of a config's data, in batches."""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS
from torch import nn
from torch.utils.data import Subset

from .evaluators import class_of, type_name


def training_people(model: nn.Module, limit: int = 1000) -> Subset:
    """Draws people from the training data of a model's config, and prepares them with its test pipeline.

    Args:
        model (nn.Module): A model of MMPose with its config as ``cfg``.
        limit (int): The largest number of people.
    """
    pipeline = pipeline_of_test(model.cfg)
    dataset = DATASETS.build(_with_pipeline(dataset_of(model.cfg, 'train'), pipeline))
    chosen = np.random.default_rng(0).permutation(len(dataset))[:limit]
    return Subset(dataset, chosen)


def dataset_of(cfg: Config, part: str) -> dict:
    """The data set that a config trains on (``'train'``) or is tested on (``'test'``).

    Raises:
        ValueError: The config has none.
    """
    loader = cfg.get(f'{part}_dataloader')
    if not loader:
        raise ValueError(f'{cfg.filename} has no {part}_dataloader: give a config with data')
    return loader.dataset


def innermost(dataset: dict) -> dict:
    """The data set in a config's wrappers, such as RepeatDataset; the first where there are several."""
    while 'ann_file' not in dataset and ('dataset' in dataset or 'datasets' in dataset):
        dataset = dataset['dataset'] if 'dataset' in dataset else dataset['datasets'][0]
    return dataset


def dataset_metainfo(dataset: dict) -> dict:
    """MMPose's metainfo of a data set that wraps no other, without the warning that its installed copy is used.

    Raises:
        ValueError: The data set is not in the registry.
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return class_of(DATASETS, dataset)._load_metainfo(dataset.get('metainfo'))


def pipeline_of_test(cfg: Config) -> list[dict]:
    """The pipeline of a config's test, whose data set may be wrapped."""
    dataset = dataset_of(cfg, 'test')
    while not dataset.get('pipeline'):
        dataset = dataset['dataset'] if 'dataset' in dataset else dataset['datasets'][0]
    return dataset['pipeline']


def _with_pipeline(dataset: dict, pipeline: list[dict]) -> dict:
    """A data set with another pipeline in place of its complete one.

    In a CombinedDataset, either the outer data set has the complete pipeline and the inner ones only convert keypoints,
    or each inner data set has a complete pipeline.
    """
    key = 'dataset' if 'dataset' in dataset else 'datasets'
    parts = [dataset[key]] if key == 'dataset' else dataset.get(key, [])
    if not parts or (dataset.get('pipeline') and not any(map(_packs, parts))):
        return {**dataset, 'pipeline': pipeline}
    parts = [_with_pipeline(part, pipeline) for part in parts]
    wrapper = {name: value for name, value in dataset.items() if name != 'pipeline'}
    return wrapper | {key: parts[0] if key == 'dataset' else parts}


def _packs(dataset: dict) -> bool:
    return any(type_name(transform).startswith('Pack') for transform in dataset.get('pipeline') or [])


def batches(data: Sequence[dict], size: int = 32) -> Iterator[dict]:
    """Yields the samples of a data set in batches of at most ``size``, as equal in size as possible."""
    for indices in np.array_split(np.arange(len(data)), -(-len(data) // size)):
        yield pseudo_collate([data[int(index)] for index in indices])
