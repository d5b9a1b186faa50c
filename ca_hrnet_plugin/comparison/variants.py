"""The networks of a comparison, as configs that state only what differs from a given config."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from ..config_files import resolve_config
from ..evaluation.evaluators import type_name
from ..messages import in_one_line

BASELINE = 'HRNet'


def attention_variants(config: str | Path, attentions: Sequence[str], zero_init: bool = False) -> dict[str, dict]:
    """The baseline and its variants: what differs from a config of HRNet, by the variant's name.

    Args:
        config (str | Path): A config of MMPose with HRNet as backbone.
        attentions (Sequence[str]): ``'coord'`` for :class:`CoordAttention`, a name of timm's ``create_attn``, such as
            ``'se'``, a type of MMPose's registry, or an import path, such as ``'my_package.MyAttention'``.
        zero_init (bool): Whether to add HRNet with ``zero_init_residual``.

    Raises:
        ValueError: The config has no HRNet, or an attention is unknown or given twice.
    """
    cfg = read_config(config)
    backbone = type_name(cfg.get('model', {}).get('backbone', {}))
    if backbone != 'HRNet':
        raise ValueError(f'{config} has the backbone {backbone}: give a config of HRNet, or pairs of NAME=CONFIG')
    variants = {BASELINE: {}}
    if zero_init:
        variants[f'{BASELINE}-zero-init'] = dict(model=dict(backbone=dict(zero_init_residual=True)))
    init_default_scope('mmpose')
    for attention in attentions:
        name, ca_cfg = _attention(attention)
        if name in variants:
            raise ValueError(f'--attention has {attention} twice: give each attention once')
        backbone = dict(type='CAHRNet', **({'ca_cfg': ca_cfg} if ca_cfg else {}))
        variants[name] = dict(model=dict(backbone=backbone))
        built = dict(cfg.model.backbone.to_dict(), **backbone, init_cfg=None)
        try:
            MODELS.build(built)
        except Exception as error:  # third-party attention can fail in any way
            raise ValueError(
                f'attention {attention} cannot be built ({in_one_line(error)}): give coord, a name of timm.layers.'
                'create_attn, such as se, eca or cbam, or an import path'
            ) from error
    return variants


def read_config(config: str | Path, options: Mapping | None = None) -> Config:
    """Reads a config, given as a file or by its name in this plugin, with ``--cfg-options``.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        cfg = Config.fromfile(resolve_config(config))
        cfg.merge_from_dict(dict(options or {}))
        return cfg
    except Exception as error:  # a config is a program, which can fail in any way
        raise ValueError(f'config {config} cannot be read: {in_one_line(error)}') from error


def _attention(name: str) -> tuple[str, dict]:
    """The variant's name, and the ``ca_cfg`` of CAHRNet."""
    if name == 'coord':
        return 'CA-HRNet', {}
    if '.' in name:
        return f'{name.rpartition(".")[2]}-HRNet', dict(attention=dict(type=name))
    if MODELS.get(name):
        return f'{name}-HRNet', dict(attention=dict(type=name))
    return f'{name.upper()}-HRNet', dict(attention=dict(type='timm.layers.create_attn', attn_type=name))
