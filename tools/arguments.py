"""Kinds of arguments that several commands take."""

import argparse


def positive(argument: str) -> int:
    """Reads a count of one or more, for use as an argument's type."""
    number = int(argument)
    if number < 1:
        raise argparse.ArgumentTypeError(f'{number} is too few: give 1 or more')
    return number


def named_path(argument: str) -> tuple[str, str]:
    """Splits ``'CA-HRNet=work_dirs/ca_hrnet'``, for use as an argument's type."""
    name, equals, path = argument.partition('=')
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f'{argument!r} is not NAME=PATH')
    return name, path


def by_name(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The paths by name, of which none may be given twice."""
    names = [name for name, _ in pairs]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f'the name {twice[0]} is given twice: give each its own')
    return dict(pairs)
