"""Finds the plugin's configs and its small trained network, both in a clone and in an installed wheel."""

from pathlib import Path

PACKAGE = Path(__file__).parent
CONFIGS = (PACKAGE / '.mim' if (PACKAGE / '.mim').is_dir() else PACKAGE.parent) / 'configs'
# The weights of configs/demo/hrnet_w16_128x96.py, in float16: docs/small_hrnet.md.
SMALL_HRNET = str(PACKAGE / 'small_hrnet.pth')


def config_names() -> list[str]:
    """The names that :func:`config_path` knows, sorted, such as ``'ca_hrnet_w32_coco_256x192'``."""
    paths = (path.relative_to(CONFIGS) for path in CONFIGS.glob('**/*.py'))
    # As everywhere in OpenMMLab, _base_ holds parts and no whole configs.
    return sorted(path.with_suffix('').as_posix() for path in paths if '_base_' not in path.parts)


def config_path(name: str) -> str:
    """The path of a config of this plugin, for ``Config.fromfile``, ``mim`` or an inferencer.

    Args:
        name (str): The config's name, with or without ``.py``.

    Raises:
        ValueError: The config is not found.
    """
    path = CONFIGS / f'{name.removesuffix(".py")}.py'
    if not path.is_file():
        raise ValueError(f'no config {name!r}: give one of {", ".join(config_names())}')
    return str(path.resolve())


def resolve_config(config: str | Path) -> str:
    """The absolute path of a config, given as a file or by its name in this plugin.

    Raises:
        ValueError: It is neither.
    """
    if Path(config).exists():
        return str(Path(config).resolve())
    name = str(config).removesuffix('.py')
    if name != str(config) and name not in config_names():
        raise ValueError(f'no file {config} in {Path.cwd()}: give the path of a config')
    return config_path(name)
