"""Arguments of the form NAME=PATH."""

import argparse


def named_path(argument: str) -> tuple[str, str]:
    """Splits ``'CA-HRNet=work_dirs/ca_hrnet'``, for use as an argument's type."""
    name, equals, path = argument.partition('=')
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f'{argument!r} is not NAME=PATH')
    return name, path
