"""The checkpoints of a run, looked at before it begins: whether they are there, and whether they fit."""

import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from ..checkpoints.fit import in_one_line, misfit
from .report import Report

URL_TIMEOUT_SECONDS = 20


def check_weights(cfg: Config, parts: Iterable[str], report: Report) -> None:
    """Checks the checkpoints that a config names: ``init_cfg`` in training is to be read, ``load_from`` is to fit,
    in part where training starts from it.

    Args:
        cfg (Config): A whole config, whose default scope is the current one.
        parts (Iterable[str]): As for :func:`.data.check_data`.
        report (Report): Where to tell it.
    """
    checkpoints = [*_pretrained(cfg.get('model'), 'model')] if 'train' in parts else []
    checkpoints += [(str(cfg.load_from), 'load_from')] if cfg.get('load_from') else []
    for path, key in checkpoints:
        name, is_whole = f'checkpoint {path} ({key})', key == 'load_from'
        way_out = f'give another with --cfg-options {key}.checkpoint=FILE, or train from scratch with {key}=None'
        way_out = 'give the file that was trained with this config' if is_whole else way_out
        file, trouble = _located(path)
        fits_in_part = False
        if file and is_whole:
            trouble, fits_in_part = misfit(cfg, file)
        elif file:
            trouble = _unreadable(file)
        if fits_in_part and 'train' in parts:  # as in fine-tuning for other keypoints
            report.notes.append(f'{name} {trouble}: what fits is loaded')
        elif trouble:
            report.troubles.append(f'{name} {trouble}: {way_out}')
        else:
            answer = ('fits the network' if is_whole else 'can be read') if file else 'is not on this disk: not opened'
            report.notes.append(f'{name} {answer}')


def _pretrained(node, key: str) -> Iterator[tuple[str, str]]:
    """Yields (checkpoint, key) of each ``Pretrained`` init_cfg in a model config."""
    if isinstance(node, list | tuple):
        node = dict(enumerate(node))
    if isinstance(node, dict):
        if node.get('type') == 'Pretrained' and isinstance(node.get('checkpoint'), str):
            yield node['checkpoint'], key
        for name, child in node.items():
            yield from _pretrained(child, f'{key}.{name}')


def _located(path: str) -> tuple[str | None, str | None]:
    """The file on this disk, which may be torch hub's copy, and what keeps it from being there or fetched."""
    if '://' not in path:
        return (path, None) if Path(path).expanduser().is_file() else (None, f'not found from {Path.cwd()}')
    cached = Path(torch.hub.get_dir(), 'checkpoints', Path(path).name)
    if not path.startswith(('http://', 'https://')) or cached.is_file():
        return (str(cached) if cached.is_file() else None), None
    try:
        request = urllib.request.Request(path, method='HEAD', headers={'User-Agent': 'torch.hub'})
        urllib.request.urlopen(request, timeout=URL_TIMEOUT_SECONDS).close()
    except urllib.error.HTTPError as error:
        # A server may refuse the question and still give the file.
        return None, f'is not there (HTTP {error.code})' if error.code in (404, 410) else None
    except (OSError, ValueError) as error:
        return None, f'cannot be reached ({getattr(error, "reason", error)})'
    return None, None


def _unreadable(file: str) -> str | None:
    try:
        if not isinstance(CheckpointLoader.load_checkpoint(file, map_location='cpu', logger='silent'), dict):
            return 'holds no weights by name'
    except Exception as error:  # a pickle can fail in any way
        return f'cannot be used ({in_one_line(error)})'
    return None
