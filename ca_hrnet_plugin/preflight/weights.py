"""Checks whether the checkpoints of a run can be found, read and loaded."""

import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from ..checkpoints.fit import misfit
from ..messages import in_one_line
from .report import Report


def check_weights(cfg: Config, parts: Collection[str], report: Report) -> None:
    """Checks that each ``init_cfg`` can be read, and that ``load_from`` fits; to train, a partial fit is enough.

    Args:
        cfg (Config): A complete config, whose default scope is active.
        parts (Collection[str]): Which of ``'train'``, ``'val'`` and ``'test'`` will run.
        report (Report): Where notes and problems go.
    """
    checkpoints = [*_pretrained(cfg.get('model'), 'model')] if 'train' in parts else []
    checkpoints += [(str(cfg.load_from), 'load_from')] if cfg.get('load_from') else []
    for path, key in checkpoints:
        name = f'checkpoint {path} ({key})'
        file, problem = _located(path)
        fits_in_part = False
        if key == 'load_from':
            finding, hint = 'fits the network', 'give the file that was trained with this config'
            if file:
                problem, fits_in_part = misfit(cfg, file)
        else:
            finding = 'can be read'
            hint = f'give another with --cfg-options {key}.checkpoint=FILE, or train from scratch with {key}=None'
            if file:
                problem = _unreadable(file)
        if fits_in_part and 'train' in parts:  # as in fine-tuning for other keypoints
            report.notes.append(f'{name} {problem}: what fits is loaded')
        elif problem:
            report.problems.append(f'{name} {problem}: {hint}')
        else:
            report.notes.append(f'{name} {finding if file else "is not on this disk: not opened"}')


def _pretrained(node, key: str) -> Iterator[tuple[str, str]]:
    """Yields (checkpoint, key) for each ``Pretrained`` init_cfg in a model config."""
    if isinstance(node, list | tuple):
        node = dict(enumerate(node))
    if isinstance(node, dict):
        if node.get('type') == 'Pretrained' and isinstance(node.get('checkpoint'), str):
            yield node['checkpoint'], key
        for name, child in node.items():
            yield from _pretrained(child, f'{key}.{name}')


def _located(path: str) -> tuple[str | None, str | None]:
    """The local file, which may be in torch hub's cache, and the problem if it cannot be found or fetched."""
    if '://' not in path:
        return (path, None) if Path(path).expanduser().is_file() else (None, f'not found from {Path.cwd()}')
    cached = Path(torch.hub.get_dir(), 'checkpoints', Path(path).name)
    if cached.is_file() or not path.startswith(('http://', 'https://')):
        return (str(cached) if cached.is_file() else None), None
    try:
        request = urllib.request.Request(path, method='HEAD', headers={'User-Agent': 'torch.hub'})
        urllib.request.urlopen(request, timeout=20).close()
    except urllib.error.HTTPError as error:
        # With other codes, a server may refuse a HEAD request and still give the file.
        return None, f'not found (HTTP {error.code})' if error.code in (404, 410) else None
    except (OSError, ValueError) as error:
        return None, f'cannot be reached ({getattr(error, "reason", error)})'
    return None, None


def _unreadable(file: str) -> str | None:
    try:
        checkpoint = CheckpointLoader.load_checkpoint(file, map_location='cpu', logger='silent')
    except Exception as error:  # a pickle can fail in any way
        return f'cannot be used ({in_one_line(error)})'
    return None if isinstance(checkpoint, dict) else 'holds no weights by name'
