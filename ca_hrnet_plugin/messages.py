"""Helpers for what this plugin prints, such as its one-line error messages."""

import sys
import textwrap
import traceback
from collections.abc import Mapping, Sequence


def replace_unprintable() -> None:
    """Makes print write a question mark for characters that the terminal cannot encode, so that no result is lost."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors='replace')


def in_one_line(error: BaseException) -> str:
    """The type and message of a third-party error, or without a message its line of code, shortened to one line."""
    message = str(error) or ''.join(frame.line for frame in traceback.extract_tb(error.__traceback__)[-1:])
    return textwrap.shorten(f'{type(error).__name__}: {message}', 300, placeholder=' ...')


def and_more(rest: Sequence) -> str:
    """The end of a line that names only the first of several items."""
    return f' (and {len(rest)} more like it)' if rest else ''


def counted(reasons: Mapping[str, int]) -> str:
    """Lists numbers with their reasons, as in ``'3 crowd regions, 1 without bbox or keypoints'``."""
    return ', '.join(f'{number} {reason}' for reason, number in reasons.items())
