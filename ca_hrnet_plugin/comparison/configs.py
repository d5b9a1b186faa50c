"""Writes the configs of a comparison: a few lines for each network, and for each of its runs."""

import copy
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from ..config_files import resolve_config
from ..evaluation.evaluators import is_coco_metric, metric_configs
from ..reporting.comparison_files import FILE, ComparisonFiles
from ..whole_file import whole_file
from .variants import read_config

NEEDED = ('model', 'train_cfg', 'train_dataloader', 'test_dataloader', 'test_evaluator')


def write_configs(
    files: ComparisonFiles,
    networks: Mapping[str, tuple[str, dict]],
    load_from: str | None = None,
    options: Mapping | None = None,
) -> None:
    """Writes the configs of all networks and runs, and the comparison's description.

    Args:
        files (ComparisonFiles): The comparison. Its ``starts`` and ``settings`` are filled in.
        networks (Mapping[str, tuple[str, dict]]): The config that each network inherits, and what differs from it.
        load_from (str, optional): The checkpoint that networks start from, in place of their configs' ``load_from``.
        options (Mapping, optional): ``--cfg-options`` for all of them.

    Raises:
        ValueError: The folder has runs of other configs, or a config cannot be read.
    """
    known = ComparisonFiles.read(files.out).settings if (files.out / FILE).is_file() else {}
    written = {}
    for network, (base, differences) in networks.items():
        complete = read_config(base, options)
        missing = [key for key in NEEDED if not complete.get(key)]
        if missing:
            raise ValueError(f'{base} has no {missing[0]}: give a config that mim train and mim test can run')
        init_default_scope(complete.get('default_scope', 'mmpose'))
        changes = Config(_with_options(complete, options or {}))
        changes.merge_from_dict(copy.deepcopy(differences))
        changes.merge_from_dict(_imports_of_plugin(complete))
        changes.merge_from_dict(_checkpoints_to_resume_from(complete))
        start = load_from or complete.get('load_from')
        if start:
            files.starts[network] = start if '://' in start else str(Path(start).expanduser().resolve())
            changes.merge_from_dict(_start_from(files.starts[network]))
        if files.unit == 'fold':
            changes.merge_from_dict(_whole_paths_of_images(complete))
        complete.merge_from_dict(copy.deepcopy(changes.to_dict()))
        settings = [complete.to_dict(), len(files.numbers) if files.unit == 'fold' else None]
        digest = hashlib.sha256(json.dumps(settings, default=str).encode()).hexdigest()
        if known.get(network, digest) != digest and (files.out / network).exists():
            raise ValueError(
                f'{files.out} holds runs of another {network}: its config or the options have changed since; give '
                'another --out'
            )
        files.settings[network] = digest
        written[files.config(network)] = dict(_base_=resolve_config(base)) | changes.to_dict()
        for run in ['start', *files.runs]:
            written[files.config(network, run)] = _of_run(files, network, run, complete)
    files.settings = known | files.settings
    for path, content in written.items():
        with whole_file(path) as unfinished:
            unfinished.write_text(f'# Written by tools/compare.py.\n{Config(content).pretty_text}')
    for network, (base, _) in networks.items():
        try:
            Config.fromfile(files.config(network))
        except RuntimeError as error:
            raise ValueError(
                f'{base} is a pure Python config, which these configs cannot inherit: give a copy that '
                f"Config.fromfile({base!r}).dump('copy.py') writes"
            ) from error
    files.write()


def _with_options(cfg: Config, options: Mapping) -> dict:
    """The fields that an inheriting config must state to get options that the complete config already has."""
    changes = Config()
    for key, value in options.items():
        name, *rest = key.split('.')
        if not any(part.isdigit() for part in rest):
            changes.merge_from_dict({key: value})
        else:  # a config cannot inherit a part of a list
            whole = cfg.to_dict()[name]
            changes[name] = dict(whole, _delete_=True) if isinstance(whole, dict) else whole
    return changes.to_dict()


def _imports_of_plugin(cfg: Config) -> dict:
    """For each network, so that the baseline also runs beside mmcv-lite."""
    imports = cfg.get('custom_imports', {})
    known = imports.get('imports', [])
    others = [name for name in ([known] if isinstance(known, str) else known) if name != 'ca_hrnet_plugin']
    return dict(custom_imports=dict(imports, imports=[*others, 'ca_hrnet_plugin']))


def trains_by_epoch(cfg: Config) -> bool:
    """Whether a config's training counts epochs, and not iterations."""
    return 'max_epochs' in cfg.train_cfg and cfg.train_cfg.get('by_epoch', True)


def _checkpoints_to_resume_from(cfg: Config) -> dict:
    """A checkpoint after each epoch. The one before it stays, in case the process is killed while it writes."""
    return dict(default_hooks=dict(checkpoint=dict(dict(interval=1) if trains_by_epoch(cfg) else {}, max_keep_ckpts=2)))


def _start_from(checkpoint: str) -> dict:
    """Initial weights. They are not given as load_from, because mim train --resume ignores it."""
    initial = dict(type='Pretrained', checkpoint=checkpoint)
    return dict(load_from=None, model=dict(init_cfg=initial, backbone=dict(init_cfg=None)))


def _whole_paths_of_images(cfg: Config) -> dict:
    """For folds, whose annotations name images by whole paths. Boxes are the annotated ones."""
    dataset = dict(data_root=None, data_prefix=dict(img=''))
    changes = dict(train_dataloader=dict(dataset=dataset))
    for loader in ('val_dataloader', 'test_dataloader'):
        if cfg.get(loader):
            boxes = dict(bbox_file=None) if 'bbox_file' in cfg[loader].dataset else {}
            changes[loader] = dict(dataset=dataset | boxes)
    return changes


def _of_run(files: ComparisonFiles, network: str, run: str, cfg: Config) -> dict:
    """The config of a run, or of the test of the checkpoint that it starts from."""
    work_dir = files.work_dir(network, run)
    data = files.runs[0] if run == 'start' else run
    of_metric = dict(outfile_prefix=str(work_dir / 'poses'))
    content = dict(
        _base_=f'../{network}.py', work_dir=str(work_dir), randomness=dict(seed=int(data.removeprefix(files.unit)))
    )
    if files.unit == 'fold':
        for loader, part in dict(train='train', val='test', test='test').items():
            if cfg.get(f'{loader}_dataloader'):
                content[f'{loader}_dataloader'] = dict(dataset=dict(ann_file=str(files.fold_annotations(data, part))))
        annotations = dict(ann_file=str(files.fold_annotations(data, 'test')))
        of_metric |= annotations
        if cfg.get('val_evaluator'):
            content['val_evaluator'] = changed_coco_metric(cfg.val_evaluator, annotations)
    content['test_evaluator'] = changed_coco_metric(cfg.test_evaluator, of_metric)
    return content


def changed_coco_metric(evaluator: dict | list, changes: dict) -> dict | list:
    """What a config states to change the CocoMetric of its evaluator, or the metric derived from it."""
    evaluator = copy.deepcopy(evaluator)
    for metric in metric_configs(evaluator):
        if is_coco_metric(metric):
            if metric is evaluator:
                return changes
            metric.update(changes)
            break
    return evaluator
