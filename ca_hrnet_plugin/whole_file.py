"""Files that are there whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Gives a name beside ``path`` to write to, which becomes ``path`` once all is written.

    Raises:
        FileExistsError: There is a folder or a device of that name.
    """
    path = Path(path).resolve()  # of a link, what it leads to
    if path.exists() and not path.is_file():
        raise FileExistsError(f'{path} is no file: give another name to write to')
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f'.unfinished.{path.name}')  # the suffix stays: writers choose the format by it
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
