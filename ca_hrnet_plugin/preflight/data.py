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

from ..checkpoints.fit import in_one_line
from ..evaluation.coco_files import (
    InvalidFileError,
    and_more,
    left_out,
    needed_by_oks,
    read_annotations,
    read_detections,
    unreached,
)
from .report import Report

# The methods that read a data set: it is read as COCO is where all of them are of one of these modules.
READING = ('load_data_list', 'parse_data_info', '_load_annotations', '_load_detection_results')
POSE, DETECTION = BaseCocoStyleDataset.__module__, 'mmdet.datasets.coco'  # which need not be installed


class Dataset(NamedTuple):
    """A data set without others in it."""

    key: str  # of the config that has it
    config: dict
    name: str
    is_coco: bool
    num_keypoints: int | None  # of a person, where MMPose reads it
    ann_file: str
    folders: dict[str, str]  # by their names in data_prefix
    loads_unlabelled: bool  # images
    loaders: list[dict]  # the transforms that load, of what wraps it too


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
    for part in parts:
        if cfg.get(f'{part}_cfg') is None:  # then MMEngine builds no loader
            continue
        datasets = list(_datasets(cfg.get(f'{part}_dataloader'), f'{part}_dataloader', report))
        for one in datasets:
            roles = dict(annotations=one.ann_file, detections=one.config.get('bbox_file'))
            needed = [(str(path), f'{role} of {one.key}') for role, path in roles.items() if path]
            found = [_look_for(path, role, [one.config], there, report) for path, role in needed]
            for folder in one.folders.values():
                _look_for(folder, f'images of {one.key}', [one.config, *one.loaders], there, report)
            if not one.is_coco:
                report.notes.append(f'{one.key}: {one.name} is not read as COCO is: its files are not opened')
            elif one.ann_file and all(found):
                files[one.ann_file][0].append(one)
        alone = datasets[0] if len(datasets) == 1 and datasets[0].num_keypoints else None
        for metric, is_coco in _metrics(cfg.get(f'{part}_evaluator'), f'{part}_evaluator', report):
            path = metric.get('ann_file') or (alone and alone.ann_file)
            found = path and _look_for(str(path), f'annotations of {part}_evaluator', [metric], there, report)
            # Keypoints that a converter makes are counted by nobody here.
            if found and is_coco and not any(map(metric.get, ('format_only', 'gt_converter', 'pred_converter'))):
                files[str(path)][1].append((f'{part}_evaluator', metric, alone and alone.num_keypoints))
    for path, (datasets, metrics) in files.items():
        try:
            content = _read(path, datasets, metrics, report)
            for one in datasets:
                image_ids = _image_ids(one, content, path, report)
                if _look_for(one.folders['img'], '', [one.config, *one.loaders], there, report):
                    _check_images(one, content, image_ids, path, decode, report)
        except InvalidFileError as error:
            report.troubles += error.troubles
        except OSError as error:
            report.troubles.append(f'{error.filename} cannot be read ({error.strerror}): give a file')


def _class(registry: Registry, config: dict) -> type:
    """The class of a config's type, in the registry of its scope or of the current one."""
    kind = config.get('type')
    if isinstance(kind, str):
        with registry.switch_scope_and_registry(config.get('_scope_')) as scoped:
            kind = scoped.get(kind)
        if kind is None:
            raise KeyError(f'it is not in the registry {scoped.name}: import its module (custom_imports)')
    return kind if isinstance(kind, type) else object


def _datasets(node, key: str, report: Report, transforms: Iterable[dict] = ()) -> Iterator[Dataset]:
    for one in node if isinstance(node, list | tuple) else [node]:
        if isinstance(one, dict):
            pipeline = one.get('pipeline')
            of_all = [*transforms, *(pipeline if isinstance(pipeline, list | tuple) else ())]
            if inner := one.get('dataset') or one.get('datasets'):
                yield from _datasets(inner, key, report, of_all)
                continue
            try:
                yield _dataset(one, key, of_all)
            except Exception as error:  # of whoever's module or metainfo it is
                report.troubles.append(f'data set {one.get("type")} of {key} cannot be built: {in_one_line(error)}')


def _dataset(config: dict, key: str, transforms: list[dict]) -> Dataset:
    kind = _class(DATASETS, config)
    read_by = {getattr(kind, name).__module__ for name in READING if hasattr(kind, name)}
    num_keypoints = kind._load_metainfo(config.get('metainfo'))['num_keypoints'] if read_by == {POSE} else None
    root, ann_file = config.get('data_root'), config.get('ann_file')
    prefixes = config.get('data_prefix') or {}
    prefixes = {'img': '', **(prefixes if isinstance(prefixes, dict) else {'img': prefixes})}  # MMPretrain has a string
    filters = num_keypoints or dict(config.get('filter_cfg') or {}).get('filter_empty_gt')
    return Dataset(
        key,
        config,
        kind.__name__,
        read_by in ({POSE}, {DETECTION}),
        num_keypoints,
        _joined(root, ann_file) if isinstance(ann_file, str) else '',  # other data sets may have several
        {name: _joined(root, prefix) for name, prefix in prefixes.items()},
        bool(config.get('test_mode') or not filters),
        [one for one in transforms if isinstance(one, dict) and _name(one.get('type')).startswith('Load')],
    )


def _name(kind) -> str:
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]


def _joined(root: str | None, path: str) -> str:
    """As MMEngine's BaseDataset joins them."""
    root, path = str(root or ''), str(path or '')
    return path if not root or '://' in path or Path(path).is_absolute() else f'{root.rstrip("/")}/{path}'


def _metrics(node, key: str, report: Report) -> Iterator[tuple[dict, bool]]:
    """Yields the configs of an evaluator's metrics, and whether each is MMPose's of COCO."""
    node = node['metrics'] if isinstance(node, dict) and 'metrics' in node else node
    for one in node if isinstance(node, list | tuple) else [node]:
        if isinstance(one, dict):
            try:
                yield one, issubclass(_class(METRICS, one), CocoMetric)
            except Exception as error:  # of whoever's module it is
                report.troubles.append(f'metric {one.get("type")} of {key} cannot be built: {in_one_line(error)}')


def _look_for(path: str, role: str, readers: list[dict], there: dict, report: Report) -> bool:
    """Whether it is there, for those who read it from the local disk; told once."""
    backends = [reader.get(name) for reader in readers for name in ('backend_args', 'file_client_args')]
    names = [backend.get('backend') for backend in backends if isinstance(backend, dict)]
    is_remote = '://' in path or not {*names} <= {'local', 'disk'}
    if (path, is_remote) not in there:
        trouble = None if is_remote else _trouble(path)
        there[path, is_remote] = not is_remote and not trouble
        if is_remote:
            report.notes.append(f'{path} ({role}) is behind a remote backend: skipped')
        elif trouble:
            report.troubles.append(
                f'{path} ({role}) {trouble}, from {Path.cwd()}: put the data there, or override the path with '
                "--cfg-options; this plugin's configs take CA_HRNET_DATA, the folder that holds coco and so on"
            )
    return there[path, is_remote]


def _read(path: str, datasets: list[Dataset], metrics: list[tuple[str, dict, int]], report: Report) -> dict:
    needed, of_annotations = {'images'}, set()
    for one in datasets:
        needed.add('annotations' if one.num_keypoints and not one.config.get('bbox_file') else 'categories')
        of_annotations |= set() if one.num_keypoints else {'bbox', 'area'}
    for _, metric, _ in metrics:
        needed |= {'annotations', 'categories'}
        of_annotations |= needed_by_oks(metric.get('use_area', True), metric.get('iou_type'))
    numbers = [one.num_keypoints for one in datasets] + [number for _, _, number in metrics]
    of_images = ('file_name', 'width', 'height') if datasets else ()
    content = read_annotations(path, max(filter(None, numbers), default=None), needed, of_images, of_annotations)
    report.notes.append(f'{path}: {len(content["images"])} images, {len(content["annotations"])} annotations')
    if metrics and (reasons := unreached(content)):
        report.notes.append(f'{metrics[0][0]}: {path}: left out are {_listed(reasons)}')
    return content


def _image_ids(dataset: Dataset, content: dict, path: str, report: Report) -> Collection[int]:
    """The ids of the images that will be loaded; tells what is left out."""
    if not dataset.num_keypoints or dataset.config.get('data_mode', 'topdown') != 'topdown':
        if dataset.loads_unlabelled:
            return {image['id'] for image in content['images']}
        return {annotation['image_id'] for annotation in content['annotations']}
    what, source = 'annotations', path
    if dataset.config.get('bbox_file'):
        what, source = 'detections', dataset.config['bbox_file']
        detections = read_detections(source, content, path)
        used = [one for one in detections if one['category_id'] == 1]  # MMPose looks at people alone
        reasons = +Counter({'of other categories than 1': len(detections) - len(used)})
    else:
        reasons, used = left_out(content)
    left = f'; left out are {_listed(reasons)}' if reasons else ''
    if not used:
        raise InvalidFileError([f'{source} ({dataset.key}) holds no instance to work on{left}: give {what} of people'])
    report.notes.append(f'{dataset.key}: {len(used)} {what} of {source} are used{left}')
    return {one['image_id'] for one in used}


def _listed(reasons: Counter) -> str:
    return ', '.join(f'{number} {reason}' for reason, number in reasons.items())


def _check_images(
    dataset: Dataset, content: dict, image_ids: Collection[int], path: str, decode: bool, report: Report
) -> None:
    folder = dataset.folders['img']
    files = {one['id']: _joined(folder, one['file_name']) for one in content['images'] if one['id'] in image_ids}
    troubles = {image_id: _trouble(file, is_image=True) for image_id, file in files.items()}
    if decode:
        readable = [image_id for image_id, trouble in troubles.items() if not trouble]
        troubles.update(zip(readable, _decoding_troubles([files[one] for one in readable]), strict=True))
    for trouble in dict.fromkeys(filter(None, troubles.values())):
        image_id, *rest = [one for one in troubles if troubles[one] == trouble]
        way_out = f'put {files[image_id]} there whole, or take the image out of the annotations'
        report.troubles.append(f'image {image_id} of {path} {trouble}{and_more(rest)}: {way_out}')
    num_well = list(troubles.values()).count(None)
    report.notes.append(f'{dataset.key}: {num_well} images of {folder} are {"decoded" if decode else "there"}')


def _trouble(path: str, is_image: bool = False) -> str | None:
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        return 'is missing'
    except (OSError, ValueError) as error:
        return f'cannot be read ({getattr(error, "strerror", error)})'
    if not stat.S_ISREG(status.st_mode) and (is_image or not stat.S_ISDIR(status.st_mode)):
        return 'is no file'
    return 'is empty' if is_image and not status.st_size else None


def _decoding_troubles(files: list[str]) -> Iterator[str | None]:
    def trouble(file: str) -> str | None:
        try:
            return None if mmcv.imread(file) is not None else 'cannot be decoded'
        except Exception:  # OpenCV has no error of its own for this
            return 'cannot be decoded'

    pool = ThreadPoolExecutor()
    try:
        yield from track(pool.map(trouble, files), 'decoding images', len(files), console=Console(stderr=True))
    finally:
        pool.shutdown(cancel_futures=True)
