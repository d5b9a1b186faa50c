"""Looks for the files that a run needs, and into its annotations, before the run begins.

MMEngine finds out late: a missing annotation file ends in a traceback once the model stands, a missing image folder in
one from a worker. Under MMPose's ``tools/train.py`` and ``tools/test.py``, which is what ``mim train`` and ``mim test``
run, a config that imports this plugin is checked first, and the command ends with one line. Other programs are left
alone.
"""

import copy
import functools
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader, Runner, load_checkpoint
from mmpose.registry import MODELS

from .data import check_data, is_remote, joined_path, name_failing_images

URL_TIMEOUT_SECONDS = 20
# The parts of a config that each script uses.
PARTS = {'train.py': ('train', 'val'), 'test.py': ('test',)}


def check_before_runs() -> None:
    """Makes ``Runner.from_cfg`` check its config, in MMPose's own train and test scripts alone."""
    parts = PARTS.get(Path(sys.argv[0]).name)
    from_cfg = Runner.from_cfg.__func__
    if parts is None or hasattr(from_cfg, '__wrapped__'):
        return

    @functools.wraps(from_cfg)
    def checked_from_cfg(cls, cfg: Config) -> Runner:
        missing = list(missing_inputs(cfg, parts))
        if missing:
            raise SystemExit(f'cannot start: {"; ".join(missing)}')
        try:
            notes = check_data(cfg, parts)
        except ValueError as error:
            raise SystemExit(f'cannot start: {error}') from None
        runner = from_cfg(cls, cfg)
        for note in notes:
            runner.logger.info(note)
        return runner

    name_failing_images()
    Runner.from_cfg = classmethod(checked_from_cfg)


def missing_inputs(cfg: Config, parts: tuple[str, ...]) -> Iterator[str]:
    """Yields what is missing, each with where the config asks for it and what to do.

    Args:
        cfg (Config): A whole config, as MMPose's scripts hand it to the runner.
        parts (tuple[str]): Which of its loaders and evaluators will run, of ``'train'``, ``'val'`` and ``'test'``.
    """
    files = {}
    for part in parts:
        # Without a loop, as under --no-validate, MMEngine builds no loader.
        if cfg.get(f'{part}_cfg') is None:
            continue
        for key in (f'{part}_dataloader', f'{part}_evaluator'):
            for path, role in _data_files(cfg.get(key)):
                files.setdefault(path, f'{role} of {key}')
    absent = {path: role for path, role in files.items() if not is_remote(path) and not Path(path).exists()}
    if absent:
        listed = ', '.join(f'{path} ({role})' for path, role in absent.items())
        yield (
            f'{listed} not found from {Path.cwd()}: put the data there, or set CA_HRNET_DATA to the folder that holds '
            'coco, crowdpose and so on, or override the path with --cfg-options'
        )

    checkpoints = {}
    if 'train' in parts:
        checkpoints.update((path, key) for path, key in _pretrained(cfg.model, 'model'))
    if cfg.get('load_from'):
        checkpoints[cfg.load_from] = 'load_from'
    for path, key in checkpoints.items():
        trouble = _trouble_with_checkpoint(path)
        if trouble:
            way_out = (
                'check the path'
                if key == 'load_from'
                else f'fetch it and give its path with --cfg-options {key}.checkpoint=FILE, '
                f'or train from scratch with --cfg-options {key}=None'
            )
            yield f'checkpoint {path} ({key}) {trouble}: {way_out}'
        elif not is_remote(path):
            try:
                if 'test' in parts:
                    # Built once more, but nothing is written yet.
                    init_default_scope(cfg.get('default_scope', 'mmpose'))
                    load_checkpoint(MODELS.build(copy.deepcopy(cfg.model)), path, map_location='cpu', logger='silent')
                else:
                    CheckpointLoader.load_checkpoint(path, map_location='meta', logger='silent')
            except ValueError as error:
                yield f'{key} is {path}: {error}'


def _data_files(node) -> Iterator[tuple[str, str]]:
    """Yields (path, role) of each file and folder that a loader or evaluator config names, wrappers included."""
    if isinstance(node, list | tuple):
        for item in node:
            yield from _data_files(item)
    if not isinstance(node, dict):
        return
    # Joined as mmengine's BaseDataset joins them; a detection file is taken as it stands.
    data_root = node.get('data_root') or ''
    if isinstance(node.get('ann_file'), str) and node['ann_file']:
        yield joined_path(data_root, node['ann_file']), 'annotations'
    if isinstance(node.get('bbox_file'), str):
        yield node['bbox_file'], 'detections'
    prefixes = node.get('data_prefix')
    for prefix in prefixes.values() if isinstance(prefixes, dict) else ():
        if isinstance(prefix, str):
            yield joined_path(data_root, prefix), 'images'
    for key in ('dataset', 'datasets', 'metrics'):
        yield from _data_files(node.get(key))


def _pretrained(node, key: str) -> Iterator[tuple[str, str]]:
    """Yields (checkpoint, key) of each ``Pretrained`` init_cfg in a model config."""
    if isinstance(node, list | tuple):
        for index, item in enumerate(node):
            yield from _pretrained(item, f'{key}.{index}')
    if isinstance(node, dict):
        if node.get('type') == 'Pretrained' and isinstance(node.get('checkpoint'), str):
            yield node['checkpoint'], key
        for name, child in node.items():
            yield from _pretrained(child, f'{key}.{name}')


def _trouble_with_checkpoint(path: str) -> str | None:
    """Says what keeps a checkpoint from being read, by a look at the file or a question to its server."""
    if not is_remote(path):
        return None if Path(path).expanduser().is_file() else 'not found'
    in_cache = Path(torch.hub.get_dir()) / 'checkpoints' / Path(path).name
    if not path.startswith(('http://', 'https://')) or in_cache.is_file():
        return None
    try:
        request = urllib.request.Request(path, method='HEAD', headers={'User-Agent': 'torch.hub'})
        urllib.request.urlopen(request, timeout=URL_TIMEOUT_SECONDS).close()
    except urllib.error.HTTPError as error:
        # A server may refuse the question and still give the file.
        return f'is not there (HTTP {error.code})' if error.code in (404, 410) else None
    except OSError as error:
        return f'cannot be reached ({getattr(error, "reason", error)})'
    return None
