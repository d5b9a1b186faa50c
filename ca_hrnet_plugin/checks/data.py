"""Reads the annotations and detections of a run before it begins, and looks for the images that it will load.

Of MMPose's data sets those that are read as COCO's are looked into. What MMPose leaves out without a word is counted.
"""

import functools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import Registry
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.evaluation.metrics import CocoMetric
from mmpose.registry import DATASETS, METRICS

from .coco import check_detections, left_out, needed_by_oks, read_annotations, read_json, unreached


@dataclass
class _Uses:
    """What a run does with an annotation file."""

    datasets: list[tuple[str, dict]] = field(default_factory=list)  # and which config key has each
    evaluators: list[tuple[str, dict]] = field(default_factory=list)
    num_keypoints: int | None = None


def check_data(cfg: Config, parts: tuple[str, ...]) -> list[str]:
    """Checks what a config's loaders and evaluators will read; each file is read once.

    Args:
        cfg (Config): A whole config, as MMPose's scripts hand it to the runner.
        parts (tuple[str]): Which of its loaders and evaluators will run, of ``'train'``, ``'val'`` and ``'test'``.

    Returns:
        list[str]: For each use of a file a line that counts what is left out of it.

    Raises:
        ValueError: A file is not what MMPose reads, holds nothing to work on, or images are missing or empty.
    """
    notes = []
    for path, uses in _annotation_files(cfg, parts).items():
        try:
            notes += _check_file(path, uses)
        except OSError as error:
            raise ValueError(f'{error.filename} cannot be read: {error.strerror}') from error
    return notes


def name_failing_images() -> None:
    """Lets an image that cannot be read end the run with a line that names the image, its file and its annotations."""
    stock = BaseCocoStyleDataset.prepare_data

    @functools.wraps(stock)
    def prepare_data(self, idx: int):
        try:
            return stock(self, idx)
        except Exception as error:
            info = self.get_data_info(idx)
            reason = ' '.join(str(error).split())
            raise RuntimeError(
                f'image {info["img_id"]} of {self.ann_file}, file {info["img_path"]}, cannot be used: {reason}'
            ) from error

    BaseCocoStyleDataset.prepare_data = prepare_data


def _annotation_files(cfg: Config, parts: tuple[str, ...]) -> dict[str, _Uses]:
    files: dict[str, _Uses] = {}
    for part in parts:
        # Without a loop, as under --no-validate, MMEngine builds no loader.
        if cfg.get(f'{part}_cfg') is None:
            continue
        key = f'{part}_dataloader'
        datasets = list(_coco_datasets(cfg[key].get('dataset')))
        for dataset in datasets:
            uses = files.setdefault(_annotation_file(dataset), _Uses())
            uses.datasets.append((key, dataset))
            uses.num_keypoints = _num_keypoints(dataset)
        evaluators = cfg.get(f'{part}_evaluator') or []
        for evaluator in evaluators if isinstance(evaluators, list | tuple) else [evaluators]:
            # Keypoints that a converter makes are counted by nobody here.
            converted = evaluator.get('gt_converter') or evaluator.get('pred_converter')
            if not converted and issubclass(_class(METRICS, evaluator), CocoMetric):
                path = evaluator.get('ann_file') or (_annotation_file(datasets[0]) if len(datasets) == 1 else None)
                if path and not evaluator.get('format_only'):
                    uses = files.setdefault(path, _Uses())
                    uses.evaluators.append((f'{part}_evaluator', evaluator))
                    if len(datasets) == 1:
                        uses.num_keypoints = _num_keypoints(datasets[0])
    return {path: uses for path, uses in files.items() if not is_remote(path)}


def _coco_datasets(node) -> Iterator[dict]:
    """Yields the data set configs, wrappers looked into, that MMPose reads as it reads COCO."""
    if isinstance(node, list | tuple):
        for item in node:
            yield from _coco_datasets(item)
    if isinstance(node, dict):
        kind = _class(DATASETS, node)
        own = ('load_data_list', '_load_annotations', '_load_detection_results', 'parse_data_info')
        if (
            issubclass(kind, BaseCocoStyleDataset)
            and all(getattr(kind, name) is getattr(BaseCocoStyleDataset, name) for name in own)
            and node.get('ann_file')
        ):
            yield node
        for key in ('dataset', 'datasets'):
            yield from _coco_datasets(node.get(key))


def _class(registry: Registry, node: dict) -> type:
    kind = node.get('type', '')
    return kind if isinstance(kind, type) else registry.get(kind) or object


def _annotation_file(dataset: dict) -> str:
    return joined_path(dataset.get('data_root') or '', dataset['ann_file'])


def _num_keypoints(dataset: dict) -> int:
    return _class(DATASETS, dataset)._load_metainfo(dataset.get('metainfo'))['num_keypoints']


def _check_file(path: str, uses: _Uses) -> Iterator[str]:
    needed, of_images, of_annotations = {'images'}, set(), set()
    for _, dataset in uses.datasets:
        needed.add('categories' if dataset.get('bbox_file') else 'annotations')
        of_images |= {'file_name', 'width', 'height'}
    for _, evaluator in uses.evaluators:
        needed |= {'annotations', 'categories'}
        of_annotations |= needed_by_oks(evaluator.get('use_area', True), evaluator.get('iou_type'))
    content = read_annotations(path, uses.num_keypoints, needed, of_images, of_annotations)

    for key, _ in uses.evaluators:
        reasons = unreached(content)
        if reasons:
            yield f'{key}: {path}: left out are {_listed(reasons)}'
    for key, dataset in uses.datasets:
        if dataset.get('bbox_file'):
            what, file = 'detections', dataset['bbox_file']
            if is_remote(file):
                continue
            detections = used = read_json(file, 'COCO person detections')
            if isinstance(detections, list):
                # MMPose looks at people alone.
                used = [one for one in detections if not isinstance(one, dict) or one.get('category_id', 1) == 1]
            check_detections(used, file, content, path)
            reasons = Counter({'of other categories than 1': len(detections) - len(used)})
        else:
            what, file = 'annotations', path
            if dataset.get('data_mode', 'topdown') != 'topdown':
                continue
            reasons, used = left_out(content)
        reasons = +reasons
        if not used:
            raise ValueError(f'{file} ({key}) holds no instance to work on: left out are {_listed(reasons) or "none"}')
        if reasons:
            yield f'{key}: {len(used)} {what} of {file} are used; left out are {_listed(reasons)}'
        _check_images(content, {one['image_id'] for one in used}, dataset, path)


def _listed(reasons: Counter) -> str:
    return ', '.join(f'{number} {reason}' for reason, number in reasons.items())


def _check_images(content: dict, used: Iterable[int], dataset: dict, path: str) -> None:
    prefix = joined_path(dataset.get('data_root') or '', (dataset.get('data_prefix') or {}).get('img', ''))
    if is_remote(prefix):
        return
    faulty = []
    for image in content['images']:
        if image['id'] in used:
            file = Path(prefix, image['file_name'])
            try:
                if not file.stat().st_size:
                    faulty.append((image['id'], file, 'is empty'))
            except FileNotFoundError:
                faulty.append((image['id'], file, 'is missing'))
            except OSError as error:
                faulty.append((image['id'], file, f'cannot be read ({error.strerror})'))
    if faulty:
        image_id, file, trouble = faulty[0]
        more = f', and so are {len(faulty) - 1} more' if len(faulty) > 1 else ''
        raise ValueError(f'image {image_id} of {path} {trouble}{more}: {file}')


def joined_path(data_root: str, path: str) -> str:
    """Joins as MMEngine's BaseDataset does."""
    return path if is_remote(path) else str(Path(data_root, path))


def is_remote(path: str) -> bool:
    """Whether MMEngine reads the path through a backend other than the local disk (http://, s3://, torchvision://)."""
    return '://' in path
