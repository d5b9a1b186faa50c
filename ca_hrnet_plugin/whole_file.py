"""Files that are written whole or not at all."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yields a path beside ``path`` to write to, which replaces ``path`` if the block succeeds.

    Raises:
        FileExistsError: ``path`` is a folder or a device.
    """
    path = Path(path).resolve()  # replaces the target of a link, not the link
    if path.exists() and not path.is_file():
        raise FileExistsError(f'{path} is not a file: give another name to write to')
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f'.unfinished.{path.name}')  # the suffix stays, because writers choose the format by it
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
