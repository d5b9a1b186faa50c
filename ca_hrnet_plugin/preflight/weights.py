"""Checks whether the checkpoints of a run can be found, read and loaded."""

import urllib.error
import urllib.request
from collections.abc import Collection, Iterator
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import CheckpointLoader

from ..checkpoints.fit import Fit, fit_of, fit_of_part
from ..checkpoints.hub import HubError, find
from ..evaluation.evaluators import type_name
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
    checkpoints += [(dict(checkpoint=str(cfg.load_from)), 'load_from', None)] if cfg.get('load_from') else []
    for init_cfg, key, part in checkpoints:
        path = init_cfg['checkpoint']
        name = f'checkpoint {path} ({key})'
        file, problem = _located(path)
        fit = Fit(problem)
        if key == 'load_from':
            hint = 'give the file that was trained with this config, or the config that it was trained with'
            if file:
                fit = fit_of(cfg, file)
        else:
            hint = f'give another with --cfg-options {key}.checkpoint=FILE, or train from scratch with {key}=None'
            if file:
                fit = _fit_of_pretrained(part, init_cfg, file)
        if fit.in_part and 'train' in parts:  # as in fine-tuning for other keypoints
            report.notes.append(f'{name} {fit.problem}: what fits is loaded')
        elif fit.problem:
            report.problems.append(f'{name} {fit.problem}: {hint}')
        else:
            fits = f'fits the network{fit.ignored and " and "}{fit.ignored}'
            report.notes.append(f'{name} {fits if file else "is not on this disk: not opened"}')


def _pretrained(node, key: str, part: dict | None = None) -> Iterator[tuple[dict, str, dict]]:
    """Yields each ``Pretrained`` init_cfg in a model config, its key, and the part that it initialises."""
    if isinstance(node, list | tuple):
        for index, child in enumerate(node):
            yield from _pretrained(child, f'{key}.{index}', part)
    if isinstance(node, dict):
        if type_name(node) in ('Pretrained', 'PretrainedInit') and isinstance(node.get('checkpoint'), str):
            yield node, key, part
        for name, child in node.items():
            yield from _pretrained(child, f'{key}.{name}', node)


def _fit_of_pretrained(part: dict, init_cfg: dict, file: str) -> Fit:
    try:
        module = MODELS.build({name: value for name, value in part.items() if name != 'init_cfg'})
    except Exception:  # a part need not be complete by itself
        return Fit(_unreadable(file))
    return fit_of_part(module, file, init_cfg.get('prefix'))


def _located(path: str) -> tuple[str | None, str | None]:
    """The local file, which may be in a cache, and the problem if it cannot be found or fetched."""
    if path.startswith('hf://'):
        try:
            return find(path), None
        except HubError as error:
            return None, error.problem
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
