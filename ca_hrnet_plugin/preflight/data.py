"""The data of a run: files, annotations, detections and images.

COCO keypoints of MMPose are checked in full, and COCO boxes of MMDetection as far as the two formats are alike. The
files of other data sets must exist. Notes count the records that MMPose silently leaves out.
"""

import stat
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import mmcv
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from rich.console import Console
from rich.progress import track

from ..evaluation import coco_files
from ..evaluation.evaluators import class_of, inner_metric, is_coco_metric, metric_configs, type_name
from ..evaluation.people import dataset_metainfo
from ..messages import and_more, counted, in_one_line
from . import people
from .report import Report

WRONG_SIZE = 'has another size than its file'
# A data set is read as COCO if all these methods are from one of these modules. MMDetection need not be installed.
READING = ('load_data_list', 'parse_data_info', '_load_annotations', '_load_detection_results')
POSE, DETECTION = BaseCocoStyleDataset.__module__, 'mmdet.datasets.coco'


class Dataset(NamedTuple):
    """A data set that wraps no other."""

    key: str  # of its loader in the config
    config: dict
    name: str
    is_coco: bool
    metainfo: dict | None  # if MMPose reads it
    ann_file: str
    folders: dict[str, str]  # by their names in data_prefix
    pipeline: list[dict]  # its transforms and those of its wrappers

    @property
    def num_keypoints(self) -> int | None:
        """Of a person, if MMPose reads it."""
        return self.metainfo and self.metainfo['num_keypoints']


def check_data(cfg: Config, parts: Collection[str], report: Report, decode: bool = False) -> None:
    """Checks what a config's loaders and evaluators will read. Each annotation file is read once.

    Args:
        cfg (Config): A complete config, whose default scope is active.
        parts (Collection[str]): Which of ``'train'``, ``'val'`` and ``'test'`` will run.
        report (Report): Where notes and problems go.
        decode (bool): Whether to decode each image.
    """
    # Whether each path exists; the data sets and metrics of each annotation file.
    known, users, spelt = {}, defaultdict(lambda: ([], [])), {}
    for part in parts:
        if cfg.get(f'{part}_cfg') is None:  # MMEngine then builds no loader
            continue
        datasets = list(_datasets(cfg.get(f'{part}_dataloader'), f'{part}_dataloader', report))
        for dataset in datasets:
            roles = dict(annotations=dataset.ann_file, detections=dataset.config.get('bbox_file'))
            needed = [(str(path), f'{role} of {dataset.key}') for role, path in roles.items() if path]
            have_files = [_exists(path, role, [dataset.config], known, report) for path, role in needed]
            for folder in dataset.folders.values():
                _exists(folder, f'images of {dataset.key}', [dataset.config, *dataset.pipeline], known, report)
            if not dataset.is_coco:
                report.notes.append(f'{dataset.key}: {dataset.name} does not read COCO files: they are not opened')
            elif dataset.ann_file and all(have_files):
                users[_file(dataset.ann_file, spelt)][0].append(dataset)
        single_dataset = datasets[0] if len(datasets) == 1 and datasets[0].num_keypoints else None
        key = f'{part}_evaluator'
        for metric, is_coco in _metrics(cfg.get(key), key, report):
            path = metric.get('ann_file') or (single_dataset and single_dataset.ann_file)
            has_file = path and _exists(str(path), f'annotations of {key}', [metric], known, report)
            # How many keypoints a converter makes is unknown here.
            if has_file and is_coco and not any(map(metric.get, ('format_only', 'gt_converter', 'pred_converter'))):
                users[_file(str(path), spelt)][1].append((key, metric, single_dataset and single_dataset.num_keypoints))
    for path, (datasets, metrics) in users.items():
        try:
            content = _read(path, datasets, metrics, report)
            report.problems += _people_problems(cfg, datasets, metrics, content, path)
            for dataset in datasets:
                used = _used_records(dataset, metrics, content, path, report)
                report.problems += _batch_problems(cfg[dataset.key], dataset, len(used))
                image_ids = {record['image_id'] for record in used}
                images = [image for image in content['images'] if image['id'] in image_ids]
                if _exists(dataset.folders['img'], '', [dataset.config, *dataset.pipeline], known, report):
                    _check_images(dataset, images, path, decode, report)
        except coco_files.InvalidFileError as error:
            report.problems += error.problems
        except OSError as error:
            report.problems.append(f'{error.filename} cannot be read ({error.strerror}): give a file')


def _file(path: str, spelt: dict[Path, str]) -> str:
    """A file's path as it was first spelt."""
    return spelt.setdefault(Path(path).resolve(), path)


def _dicts(node) -> list[dict]:
    items = node if isinstance(node, list | tuple) else [node]
    return [item for item in items if isinstance(item, dict)]


def _datasets(node, key: str, report: Report, transforms: Collection[dict] = ()) -> Iterator[Dataset]:
    for config in _dicts(node):
        pipeline = [*transforms, *_dicts(config.get('pipeline'))]
        if inner := config.get('dataset') or config.get('datasets'):
            report.problems += _wrapper_problems(config, key)
            yield from _datasets(inner, key, report, pipeline)
            continue
        try:
            yield _dataset(config, key, pipeline)
        except Exception as error:  # a third-party module or metainfo can fail in any way
            report.problems.append(f'data set {config.get("type")} of {key} cannot be built: {in_one_line(error)}')


def _wrapper_problems(config: dict, key: str) -> Iterator[str]:
    if config.get('times') == 0:
        yield f'times=0 of a data set of {key} leaves nothing to load: give 1 or more'
    factors, number = config.get('sample_ratio_factor'), len(config.get('datasets') or [])
    if factors is not None and (len(factors) != number or min(factors) < 0 or not any(factors)):
        yield (
            f'sample_ratio_factor={list(factors)} of {key}: give a number for each of {number} data sets, '
            'at least one of them over 0'
        )


def _dataset(config: dict, key: str, pipeline: list[dict]) -> Dataset:
    kind = class_of(DATASETS, config)
    modules = {getattr(kind, name).__module__ for name in READING if hasattr(kind, name)}
    metainfo = dataset_metainfo(config) if modules == {POSE} else None
    root, ann_file, prefixes = config.get('data_root'), config.get('ann_file'), config.get('data_prefix') or {}
    prefixes = {'img': '', **(prefixes if isinstance(prefixes, dict) else {'img': prefixes})}  # a string in MMPretrain
    folders = {name: _joined(root, prefix) for name, prefix in prefixes.items()}
    ann_file = _joined(root, ann_file) if isinstance(ann_file, str) else ''  # other data sets may have several
    is_coco = modules in ({POSE}, {DETECTION})
    return Dataset(key, config, kind.__name__, is_coco, metainfo, ann_file, folders, pipeline)


def _joined(root: str | None, path: str) -> str:
    """As MMEngine's BaseDataset joins them."""
    root, path = str(root or ''), str(path or '')
    return path if not root or '://' in path or Path(path).is_absolute() else f'{root.rstrip("/")}/{path}'


def _metrics(node, key: str, report: Report) -> Iterator[tuple[dict, bool]]:
    """Yields the config of each metric of an evaluator, and whether it is MMPose's COCO metric."""
    for config in metric_configs(node):
        try:
            metric = inner_metric(config)
            yield metric, is_coco_metric(metric)
        except Exception as error:  # a third-party module can fail in any way
            report.problems.append(f'metric {config.get("type")} of {key} cannot be built: {in_one_line(error)}')


def _exists(path: str, role: str, readers: list[dict], known: dict, report: Report) -> bool:
    """Whether a path can be read from the local disk by its readers; each path is reported once."""
    backends = [reader.get(name) for reader in readers for name in ('backend_args', 'file_client_args')]
    is_local = '://' not in path and {backend.get('backend') for backend in _dicts(backends)} <= {'local', 'disk'}
    if (path, is_local) not in known:
        problem = _problem(path) if is_local else None
        known[path, is_local] = is_local and not problem
        if not is_local:
            report.notes.append(f'{path} ({role}) is behind a remote backend: skipped')
        elif problem:
            report.problems.append(
                f'{path} ({role}) {problem}, from {Path.cwd()}: put the data there, or override the path with '
                "--cfg-options; this plugin's configs take CA_HRNET_DATA, the folder that holds coco and so on"
            )
    return known[path, is_local]


def _read(path: str, datasets: list[Dataset], metrics: list[tuple[str, dict, int]], report: Report) -> dict:
    needed, of_annotations = {'images'}, set()
    for dataset in datasets:
        needed.add('annotations' if dataset.num_keypoints and not dataset.config.get('bbox_file') else 'categories')
        of_annotations |= set() if dataset.num_keypoints else {'bbox', 'area'}
    for _, metric, _ in metrics:
        needed |= {'annotations', 'categories'}
        of_annotations |= coco_files.needed_by_oks(metric.get('use_area', True), metric.get('iou_type'))
    numbers = [dataset.num_keypoints for dataset in datasets] + [number for _, _, number in metrics]
    num_keypoints = max(filter(None, numbers), default=None)
    of_images = ['file_name', 'width', 'height'] if datasets else []
    if any(metric.get('iou_type') == 'keypoints_crowd' for _, metric, _ in metrics):
        of_images.append('crowdIndex')  # by which COCOeval evaluates
    content = coco_files.read_annotations(path, num_keypoints, needed, of_images, of_annotations)
    report.notes.append(f'{path}: {len(content["images"])} images, {len(content["annotations"])} annotations')
    if metrics:
        categories = coco_files.evaluated_categories(content, path)
        if reasons := coco_files.unreached(content):
            report.notes.append(f'{metrics[0][0]}: {path}: left out: {counted(reasons)}')
        detected = [dataset for dataset in datasets if dataset.config.get('bbox_file')]
        if detected and 1 not in categories:  # MMPose gives category 1 to all people in detected boxes
            report.problems.append(
                f'{path} has people of category {min(categories)}, and in the boxes of bbox_file ({detected[0].key}) '
                'people have category 1: give annotations of category 1, or bbox_file=None'
            )
        elif detected and len(categories) > 1:
            report.problems.append(
                f'{path} has people of categories {sorted(categories)}, and in the boxes of bbox_file '
                f'({detected[0].key}) people have category 1: AP is the mean over categories, and 0 for the others, so '
                'give all people category 1, or bbox_file=None'
            )
    return content


def _people_problems(
    cfg: Config, datasets: list[Dataset], metrics: list[tuple[str, dict, int]], content: dict, path: str
) -> list[str]:
    problems, model = [], cfg.get('model') or {}
    flip_test = (model.get('test_cfg') or {}).get('flip_test', False)
    described = [dataset for dataset in datasets if dataset.metainfo]
    for dataset in described:
        flips = any(type_name(transform) == 'RandomFlip' for transform in dataset.pipeline) or flip_test
        problems += people.keypoint_problems(dataset.metainfo, dataset.key, content, path, flips, bool(metrics))
        problems += people.head_problems(model, dataset.num_keypoints, dataset.pipeline, dataset.key)
    if described:
        _, annotations = coco_files.left_out(content)
        problems += people.annotation_problems(annotations, content, path)
    if any(metric.get('use_area', True) for _, metric, _ in metrics):
        problems += people.area_problems([*filter(coco_files.counts, content['annotations'])], path)
    return list(dict.fromkeys(problems))


def _used_records(
    dataset: Dataset, metrics: list[tuple[str, dict, int]], content: dict, path: str, report: Report
) -> list[dict]:
    """The people or images that will be loaded, by their ``image_id``; a note counts those that are left out."""
    config, source, reasons = dataset.config, path, Counter()
    if not dataset.num_keypoints or config.get('data_mode', 'topdown') != 'topdown':
        kind, used = 'images', [dict(image_id=image['id']) for image in content['images']]
        fields = {'bbox', 'keypoints'} if dataset.num_keypoints else set()
        with_people = {record['image_id'] for record in content['annotations'] if fields <= record.keys()}
        if dataset.num_keypoints:  # MMPose puts images without people last
            used.sort(key=lambda record: record['image_id'] not in with_people)
        filters = dataset.num_keypoints or dict(config.get('filter_cfg') or {}).get('filter_empty_gt')
        if filters and not config.get('test_mode'):
            used = [record for record in used if record['image_id'] in with_people]
            reasons = +Counter({'without annotations': len(content['images']) - len(used)})
    elif bbox_file := config.get('bbox_file'):
        kind, source, detections = 'detections', bbox_file, coco_files.read_detections(bbox_file, content, path)
        used = [detection for detection in detections if detection['category_id'] == 1]  # MMPose uses only people
        report.problems += people.detection_problems(used, content, source) if used else []
        reasons = +Counter({'of other categories than 1': len(detections) - len(used)})
    else:
        kind = 'annotations'
        reasons, used = coco_files.left_out(content)
        places = {image['id']: place for place, image in enumerate(content['images'])}
        used.sort(key=lambda record: places[record['image_id']])  # MMPose goes through images
    everyone, used = used, _chosen(config, used, reasons)
    report.problems += _missed_problems(dataset, metrics, everyone, used, path)
    rest = f'; left out: {counted(reasons)}' if reasons else ''
    if not used:
        raise coco_files.InvalidFileError([f'{source} ({dataset.key}) holds no instance{rest}: give {kind} of people'])
    report.notes.append(f'{dataset.key}: {len(used)} {kind} of {source} are used{rest}')
    return used


def _batch_problems(loader: dict, dataset: Dataset, number: int) -> Iterator[str]:
    """Yields a problem if the loader of a single data set without a wrapper has less than a batch and drops it."""
    size = loader.get('batch_size', 1)
    if loader.get('drop_last') and loader.get('dataset') is dataset.config and number < size:
        yield (
            f'{dataset.key} has batch_size={size} and drop_last=True, and {number} instances: there would be no batch, '
            'so give a smaller batch_size, or drop_last=False'
        )


def _missed_problems(
    dataset: Dataset, metrics: list[tuple[str, dict, int]], everyone: list[dict], used: list[dict], path: str
) -> Iterator[str]:
    """Yields a problem if an evaluator would count as missed the people whom a data set's own options leave out."""
    config, evaluator = dataset.config, f'{dataset.key.partition("_")[0]}_evaluator'
    reads_file = any(key == evaluator and metric.get('ann_file') for key, metric, _ in metrics)
    option = 'sample_interval' if config.get('indices') is None else 'indices'
    is_used = option == 'indices' or config.get(option, 1) > 1
    missed = {record['image_id'] for record in everyone} - {record['image_id'] for record in used}
    if missed and reads_file and is_used:
        yield (
            f'{option} of {dataset.key} leaves out {len(missed)} images, and {evaluator} evaluates all of {path}: '
            'their people would count as missed, so give a file of the chosen images'
        )


def _chosen(config: dict, records: list[dict], reasons: Counter) -> list[dict]:
    """The people or images that a data set's own options choose; ``reasons`` counts the others."""
    threshold = (config.get('filter_cfg') or {}).get('bbox_score_thr')
    interval = 1 if config.get('bbox_file') else config.get('sample_interval', 1)  # MMPose skips no detections
    if not isinstance(interval, int) or interval < 1:
        raise coco_files.InvalidFileError([f'sample_interval={interval!r} of a data set: give 1 or more'])
    kept = [record for record in records if record['image_id'] % interval == 0]
    if threshold is not None:
        kept = [record for record in kept if record.get('score', 1) >= threshold]  # annotations count as 1
    indices = config.get('indices')
    if indices is not None:
        if isinstance(indices, int):
            kept = kept[:indices] if indices >= 0 else kept[indices:]
        elif not isinstance(indices, Sequence) or isinstance(indices, str):
            raise coco_files.InvalidFileError([f'indices={indices!r} of a data set: give a number or a list'])
        else:
            outside = [index for index in indices if not -len(kept) <= index < len(kept)]
            if outside:
                raise coco_files.InvalidFileError(
                    [f'indices of a data set: {outside[0]} is out of range: give numbers below {len(kept)}']
                )
            kept = [kept[index] for index in indices]
    if len(kept) < len(records):
        reasons['by bbox_score_thr, sample_interval or indices'] = len(records) - len(kept)
    return kept


def _check_images(dataset: Dataset, images: list[dict], path: str, decode: bool, report: Report) -> None:
    folder = dataset.folders['img']
    files = {image['id']: _joined(folder, image['file_name']) for image in images}
    problems = {image_id: _problem(file, is_image=True) for image_id, file in files.items()}
    if decode:
        readable = [image for image in images if not problems[image['id']]]
        loading = [transform for transform in dataset.pipeline if type_name(transform).startswith('LoadImage')]
        flag = loading[0].get('color_type', 'color') if loading else 'color'  # some ignore EXIF rotation
        decoding_problems = _decoding_problems(
            [(files[image['id']], image['width'], image['height']) for image in readable], flag
        )
        problems.update(zip([image['id'] for image in readable], decoding_problems, strict=True))
    for problem in dict.fromkeys(filter(None, problems.values())):
        image_id, *rest = [image_id for image_id in problems if problems[image_id] == problem]
        hint = f'put the complete file at {files[image_id]}, or remove the image from the annotations'
        if problem == WRONG_SIZE:
            hint = f'give the width and height of {files[image_id]} after EXIF rotation'
        report.problems.append(f'image {image_id} of {path} {problem}{and_more(rest)}: {hint}')
    num_good = list(problems.values()).count(None)
    report.notes.append(f'{dataset.key}: {num_good} images of {folder} {"can be decoded" if decode else "exist"}')


def _problem(path: str, is_image: bool = False) -> str | None:
    try:
        status = Path(path).stat()
    except FileNotFoundError:
        return 'is missing'
    except (OSError, ValueError) as error:
        return f'cannot be read ({getattr(error, "strerror", error)})'
    if not stat.S_ISREG(status.st_mode) and (is_image or not stat.S_ISDIR(status.st_mode)):
        return 'is not a file'
    return 'is empty' if is_image and not status.st_size else None


def _decoding_problems(images: list[tuple[str, int, int]], flag: str) -> Iterator[str | None]:
    """Yields the problem of each image, given as its file, width and height, and decoded by a flag of MMCV."""

    def problem(image: tuple[str, int, int]) -> str | None:
        file, width, height = image
        try:
            pixels = mmcv.imread(file, flag)
        except Exception:  # OpenCV has no error of its own for this
            pixels = None
        if pixels is None:
            return 'cannot be decoded'
        return None if pixels.shape[:2] == (height, width) else WRONG_SIZE

    pool = ThreadPoolExecutor()
    try:
        yield from track(pool.map(problem, images), 'decoding images', len(images), console=Console(stderr=True))
    finally:
        pool.shutdown(cancel_futures=True)
