"""What ``python -m ca_hrnet_plugin check CONFIG`` looks at."""

import textwrap
from dataclasses import dataclass, field


@dataclass
class Report:
    """What was looked at and what is wrong with it, each in a line."""

    notes: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def in_one_line(error: BaseException) -> str:
    """An error of somebody else's, as part of a line."""
    return textwrap.shorten(f'{type(error).__name__}: {error}', 300, placeholder=' ...')


def and_more(rest) -> str:
    """What a line that tells the first of several ends with."""
    return f' (and {len(rest)} more like it)' if rest else ''
