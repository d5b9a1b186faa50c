"""The data of a run, looked at before it begins: files, annotations, detections and images.

What MMPose reads as COCO's keypoints is looked into, and MMDetection's COCO as far as the two are alike. Of other data
sets the files are looked for. What MMPose leaves out without a word is counted.
"""

import stat
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import mmcv
from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS, Registry
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.evaluation.metrics import CocoMetric
from rich.console import Console
from rich.progress import track

from . import Report, and_more, in_one_line
from .coco import InvalidFileError, left_out, needed_by_oks, read_annotations, read_detections, unreached

# The methods that read a data set: where all are of one of these modules, as MMPose's COCO is read, or MMDetection's.
READING = ('load_data_list', 'parse_data_info', '_load_annotations', '_load_detection_results')
POSE, DETECTION = BaseCocoStyleDataset.__module__, 'mmdet.datasets.coco'


class Dataset(NamedTuple):
    """A data set without others in it."""

    key: str  # of the config that has it
    config: dict
    kind: type
    num_keypoints: int | None  # of what MMPose reads as COCO's keypoints
    is_coco: bool
    loaders: list[dict]  # the transforms that load, of what wraps it too

    def path(self, path: str | None) -> str:
        return joined_path(self.config.get('data_root'), path)

    @property
    def image_folder(self) -> str:
        return self.path((self.config.get('data_prefix') or {}).get('img'))


def check_data(cfg: Config, parts: Iterable[str], decode: bool, report: Report) -> None:
    """Checks what a config's loaders and evaluators will read; each annotation file is read once.

    Args:
        cfg (Config): A whole config, whose default scope is the current one.
        parts (Iterable[str]): Which of its loaders and evaluators will run, of ``'train'``, ``'val'`` and ``'test'``.
        decode (bool): Whether to decode each image.
        report (Report): Where to tell it.

    Raises:
        ImportError: pydantic is not installed, and there are annotations.
    """
    there, files = {}, defaultdict(lambda: ([], []))  # of each annotation file the data sets and the metrics
    for key in (
        f'{part}_dataloader' for part in parts if cfg.get(f'{part}_cfg') is not None
    ):  # as MMEngine builds them
        datasets = list(_datasets(cfg.get(key), key, report))
        for dataset in datasets:
            config, file = dataset.config, dataset.path(dataset.config.get('ann_file'))
            roles = [('annotations', file)] if config.get('ann_file') else []
            roles += [('detections', config['bbox_file'])] if config.get('bbox_file') else []
            found = [_look_for(path, f'{role} of {key}', [config], there, report) for role, path in roles]
            for prefix in (config.get('data_prefix') or {}).values():
                _look_for(dataset.path(prefix), f'images of {key}', [config, *dataset.loaders], there, report)
            if not dataset.is_coco:
                report.notes.append(f'{key}: {dataset.kind.__name__} is not read as COCO is: its files are not opened')
            elif found and all(found):
                files[file][0].append(dataset)
        for metric, kind in _metrics(cfg.get(key := key.replace('dataloader', 'evaluator')), key, report):
            alone = datasets[0] if len(datasets) == 1 and datasets[0].num_keypoints else None
            file = metric.get('ann_file') or (alone and alone.path(alone.config.get('ann_file')))
            found = file and _look_for(file, f'annotations of {key}', [metric], there, report)
            # Keypoints that a converter makes are counted by nobody here.
            unread = any(metric.get(name) for name in ('format_only', 'gt_converter', 'pred_converter'))
            if found and issubclass(kind, CocoMetric) and not unread:
                files[file][1].append((key, metric, alone and alone.num_keypoints))
    for file, (datasets, metrics) in files.items():
        try:
            content = _read(file, datasets, metrics, report)
            for dataset in datasets:
                image_ids = _used_images(dataset, content, file, report)
                if there.get(dataset.image_folder):
                    _check_images(dataset, content, image_ids, file, decode, report)
        except InvalidFileError as error:
            report.troubles += error.troubles
        except OSError as error:
            report.troubles.append(f'{error.filename} cannot be read ({error.strerror}): give a file')


def find_class(registry: Registry, config: dict) -> type:
    """The class that a config's type names, in the registry of its scope or of the current one.

    Raises:
        KeyError: There is none.
    """
    kind = config.get('type')
    if isinstance(kind, str):
        with registry.switch_scope_and_registry(config.get('_scope_')) as scoped:
            kind = scoped.get(kind)
        if kind is None:
            raise KeyError(f'{config["type"]} is not in the registry {scoped.name}: import its module (custom_imports)')
    return kind if isinstance(kind, type) else object


def joined_path(root: str | None, path: str | None) -> str:
    """Joins as MMEngine's BaseDataset does."""
    root, path = str(root or ''), str(path or '')
    return path if not root or '://' in path or Path(path).is_absolute() else f'{root.rstrip("/")}/{path}'


def _datasets(node, key: str, report: Report, transforms: Iterable = ()) -> Iterator[Dataset]:
    if isinstance(node, list | tuple):
        for item in node:
            yield from _datasets(item, key, report, transforms)
    if not isinstance(node, dict):
        return
    transforms = [*transforms, *(one for one in node.get('pipeline') or [] if isinstance(one, dict))]
    if inner := node.get('dataset') or node.get('datasets'):
        yield from _datasets(inner, key, report, transforms)
        return
    try:
        kind = find_class(DATASETS, node)
        read_by = {getattr(kind, name).__module__ for name in READING if hasattr(kind, name)}
        is_pose = read_by == {POSE}
        num_keypoints = kind._load_metainfo(node.get('metainfo'))['num_keypoints'] if is_pose else None
    except Exception as error:  # of whoever's module or metainfo it is
        report.troubles.append(f'data set {node.get("type")} of {key} cannot be built: {in_one_line(error)}')
        return
    names = [getattr(one.get('type'), '__name__', str(one.get('type'))).rpartition('.')[2] for one in transforms]
    loaders = [one for one, name in zip(transforms, names, strict=True) if name.startswith('Load')]
    yield Dataset(key, node, kind, num_keypoints, is_pose or read_by == {DETECTION}, loaders)


def _metrics(node, key: str, report: Report) -> Iterator[tuple[dict, type]]:
    if isinstance(node, dict) and 'metrics' in node:
        node = node['metrics']
    for metric in node if isinstance(node, list | tuple) else [node] if isinstance(node, dict) else []:
        try:
            yield metric, find_class(METRICS, metric)
        except Exception as error:  # of whoever's module it is
            report.troubles.append(f'metric {metric.get("type")} of {key} cannot be built: {in_one_line(error)}')


def _look_for(path: str, role: str, readers: list[dict], there: dict[str, bool], report: Report) -> bool:
    """Whether it is there, for whoever reads it from the local disk; told once."""
    if path not in there:
        backends = [reader.get(name) for reader in readers for name in ('backend_args', 'file_client_args')]
        is_remote = any(backend and backend.get('backend') not in ('local', 'disk') for backend in backends)
        trouble = None
        if is_remote or '://' in path:
            report.notes.append(f'{path} ({role}) is behind a remote backend: skipped')
        elif trouble := _trouble(path):
            report.troubles.append(
                f'{path} ({role}) {trouble}, from {Path.cwd()}: put the data there, or override the path with '
                "--cfg-options; this plugin's configs take CA_HRNET_DATA, the folder that holds coco and so on"
            )
        there[path] = not (is_remote or '://' in path or trouble)
    return there[path]


def _read(file: str, datasets: list[Dataset], metrics: list[tuple], report: Report) -> dict:
    needed, of_annotations = {'images'}, set()
    for dataset in datasets:
        needed.add('annotations' if dataset.num_keypoints and not dataset.config.get('bbox_file') else 'categories')
        of_annotations |= set() if dataset.num_keypoints else {'bbox', 'area'}
    for _, metric, _ in metrics:
        needed |= {'annotations', 'categories'}
        of_annotations |= needed_by_oks(metric.get('use_area', True), metric.get('iou_type'))
    numbers = [dataset.num_keypoints for dataset in datasets] + [number for _, _, number in metrics]
    of_images = {'file_name', 'width', 'height'} if datasets else ()
    content = read_annotations(file, max(filter(None, numbers), default=None), needed, of_images, of_annotations)
    report.notes.append(f'{file}: {len(content["images"])} images, {len(content["annotations"])} annotations')
    for key, _, _ in metrics:
        if reasons := unreached(content):
            report.notes.append(f'{key}: {file}: left out are {_listed(reasons)}')
    return content


def _used_images(dataset: Dataset, content: dict, file: str, report: Report) -> Collection[int]:
    """The ids of the images that will be loaded; tells what is left out."""
    config, is_pose = dataset.config, dataset.num_keypoints
    if not is_pose or config.get('data_mode', 'topdown') != 'topdown':
        leaves_out = is_pose or (config.get('filter_cfg') or {}).get('filter_empty_gt')
        if config.get('test_mode') or not leaves_out:
            return {image['id'] for image in content['images']}
        return {annotation['image_id'] for annotation in content['annotations']}
    if config.get('bbox_file'):
        what, name, detections = 'detections', config['bbox_file'], read_detections(config['bbox_file'], content, file)
        used = [one for one in detections if one['category_id'] == 1]  # MMPose looks at people alone
        reasons = +Counter({'of other categories than 1': len(detections) - len(used)})
    else:
        what, name, (reasons, used) = 'annotations', file, left_out(content)
    left = f'; left out are {_listed(reasons)}' if reasons else ''
    if not used:
        trouble = f'{name} ({dataset.key}) holds no instance to work on{left}'
        raise InvalidFileError([f'{trouble}: give {what} of people'])
    report.notes.append(f'{dataset.key}: {len(used)} {what} of {name} are used{left}')
    return {one['image_id'] for one in used}


def _listed(reasons: Counter) -> str:
    return ', '.join(f'{number} {reason}' for reason, number in reasons.items())


def _check_images(
    dataset: Dataset, content: dict, image_ids: Collection[int], file: str, decode: bool, report: Report
) -> None:
    folder = dataset.image_folder
    images = {one['id']: joined_path(folder, one['file_name']) for one in content['images'] if one['id'] in image_ids}
    troubles = {image_id: _trouble(path, is_image=True) for image_id, path in images.items()}
    if decode:
        readable = [image_id for image_id, trouble in troubles.items() if not trouble]
        for image_id, is_decoded in zip(readable, _decoded([images[one] for one in readable]), strict=True):
            troubles[image_id] = None if is_decoded else 'cannot be decoded'
    for trouble in dict.fromkeys(filter(None, troubles.values())):
        image_id, *rest = [one for one, its_trouble in troubles.items() if its_trouble == trouble]
        way_out = f'put {images[image_id]} there whole, or take the image out of the annotations'
        report.troubles.append(f'image {image_id} of {file} {trouble}{and_more(rest)}: {way_out}')
    num_well = sum(trouble is None for trouble in troubles.values())
    report.notes.append(f'{dataset.key}: {num_well} images of {folder} are {"decoded" if decode else "there"}')


def _trouble(path: str, is_image: bool = False) -> str | None:
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        return 'is missing'
    except (OSError, ValueError) as error:
        return f'cannot be read ({getattr(error, "strerror", error)})'
    if is_image and not (stat.S_ISREG(status.st_mode) and status.st_size):
        return 'is empty' if stat.S_ISREG(status.st_mode) else 'is no file'
    return None


def _decoded(files: list[str]) -> Iterator[bool]:
    """Yields whether each can be decoded, as the transforms that load decode it."""

    def decode(file: str) -> bool:
        try:
            return mmcv.imread(file) is not None
        except Exception:  # OpenCV has no error of its own for this
            return False

    pool = ThreadPoolExecutor()
    try:
        yield from track(pool.map(decode, files), 'decoding images', len(files), console=Console(stderr=True))
    finally:
        pool.shutdown(cancel_futures=True)
