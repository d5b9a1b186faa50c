"""Prints the path of a config, as in ``mim train mmpose $(python -m ca_hrnet_plugin ca_hrnet_w32_coco_256x192)``.

``python -m ca_hrnet_plugin check CONFIG`` checks a config's data and checkpoints before a run (``check --help``).
"""

import argparse
import gc
import sys

from .config_files import config_names, config_path


def main() -> None:
    """Runs the command."""
    if sys.argv[1:2] == ['check']:
        from .preflight import main as check

        gc.disable()  # the records hold no cycles, and searching for them takes seconds
        sys.exit(check(sys.argv[2:]))
    parser = argparse.ArgumentParser(prog='python -m ca_hrnet_plugin', description=__doc__)
    parser.add_argument('config', nargs='?', help='name of a config; without it, all names are listed')
    name = parser.parse_args().config
    try:
        print(config_path(name) if name else '\n'.join(config_names()))
    except ValueError as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
