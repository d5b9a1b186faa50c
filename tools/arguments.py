"""What several commands need to read their arguments."""

import argparse


def positive(argument: str) -> int:
    """An argument type for integers of at least 1."""
    number = int(argument)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{number} is too few: give 1 or more')
    return number


def named_path(argument: str) -> tuple[str, str]:
    """An argument type for a name and a path, such as ``'CA-HRNet=work_dirs/ca_hrnet'``."""
    name, equals, path = argument.partition('=')
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f'{argument!r} is not of the form NAME=PATH')
    return name, path


def by_name(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The paths by name.

    Raises:
        ValueError: A name is given twice.
    """
    names = [name for name, _ in pairs]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ValueError(f'the name {repeated[0]} is given twice: give each path its own name')
    return dict(pairs)
