"""Checkpoint loaders for MMEngine that read weights and logs, and run no code that a file names.

Importing the plugin registers them for files, ``http``, ``https``, ``torchvision``, ``open-mmlab`` and ``mmcls``, for
every model of the process, and adds ``hf`` and files of safetensors. :func:`restore_mmengine_loaders` undoes both.
Beside tensors they read the types that torch allows and those that plain_values.py rebuilds. The latter are in torch's
allow-list only during a load.
"""

import contextlib
import logging
import os
import pickle
import re
import textwrap
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from mmengine.dist import barrier, get_dist_info
from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_loaders

from ..compat import add_note, can_allow_globals_by_name
from .hub import download
from .plain_values import STAND_INS, with_values

LONGEST_REASON = 240
_loading = threading.RLock()


def register_loaders() -> None:
    """Replaces MMEngine's own loaders, and adds :data:`ADDED_LOADERS`. Loaders that other packages registered stay.

    Replaces none with torch before 2.6, whose allow-list cannot name a stand-in.
    """
    others = {prefix for prefix, loader in _registered() if not _is_of(globals(), loader)}
    for prefix in ADDED_LOADERS.keys() - others:
        CheckpointLoader.register_scheme(prefix, ADDED_LOADERS[prefix], force=True)
    if not can_allow_globals_by_name:
        return
    for prefix, loader in _registered():
        if _is_of(globals(), loader) or _is_of(vars(mmengine_loaders), loader):
            CheckpointLoader.register_scheme(prefix, LOADERS.get(loader.__name__, loader), force=True)


def restore_mmengine_loaders() -> None:
    """Restores MMEngine's own loaders and removes those that were added, for all models of the process."""
    for prefix, loader in _registered():
        if not _is_of(globals(), loader):
            continue
        if prefix in ADDED_LOADERS:
            del CheckpointLoader._schemes[prefix]  # no public way
        else:
            CheckpointLoader.register_scheme(prefix, getattr(mmengine_loaders, loader.__name__), force=True)


def _registered() -> list[tuple[str, Callable]]:
    return list(CheckpointLoader._schemes.items())  # not public, but the only way to list them


def _is_of(module: dict, loader: Callable) -> bool:
    # functools.wraps copies the name of the module but not these globals. A reload replaces functions but not globals.
    return getattr(loader, '__globals__', None) is module


def load_from_local(filename: str, map_location=None):
    """Loads a checkpoint file.

    Args:
        filename (str): The path. A file that ends in ``.safetensors`` is read by the package safetensors.
        map_location: Same as in :func:`torch.load`.

    Returns:
        dict: The checkpoint, without ``meta['config']``, which MMEngine's ``Runner.resume`` would run.

    Raises:
        FileNotFoundError: The file does not exist.
        ImportError: The package safetensors is needed and not installed.
        pickle.UnpicklingError: The file names code that might run, or is damaged. Errors of storage, memory and device
            are raised unchanged.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {path} not found')
    return _read(str(path), path, map_location, _reader_of(path))


def load_from_http(filename: str, map_location=None):
    """Downloads a URL to torch.hub's cache, rank 0 first, and loads it as :func:`load_from_local` does."""
    with _rank_0_first():
        # As in load_state_dict_from_url, but before the allow-list is changed.
        cached = Path(torch.hub.get_dir(), 'checkpoints', Path(urllib.parse.urlparse(filename).path).name)
        if not cached.exists():
            cached.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(filename, str(cached), progress=os.isatty(0))
            except OSError as error:
                add_note(
                    error,
                    f'{filename} was not downloaded: download it elsewhere, and give the file or save it as {cached}',
                )
                raise
        name = f'{filename} (cached in {cached}: delete that to download it again)'
        if _is_safetensors(cached):
            return _read(name, cached, map_location, _reader_of(cached))
        return _read(name, filename, map_location, torch.hub.load_state_dict_from_url)


def load_from_hf(filename: str, map_location=None):
    """Downloads ``hf://OWNER/REPO[/FILE][@REVISION]``, rank 0 first, and loads it as :func:`load_from_local` does."""
    with _rank_0_first():
        path = Path(download(filename))
    checkpoint = _read(f'{filename} ({path})', path, map_location, _reader_of(path))
    # A pytorch_model.bin is usually a plain state dict, which MMEngine's EMAHook does not accept.
    is_plain = isinstance(checkpoint, dict) and 'state_dict' not in checkpoint
    return dict(state_dict=checkpoint) if is_plain else checkpoint


def load_from_torchvision(filename: str, map_location=None):
    """Loads weights of torchvision by name, as in ``torchvision://resnet50``."""
    return load_from_http(mmengine_loaders.get_torchvision_models()[_model_name(filename)], map_location)


def load_from_openmmlab(filename: str, map_location=None):
    """Loads weights that MMEngine or ``$MMENGINE_HOME/open_mmlab.json`` lists, as in ``open-mmlab://resnet50``."""
    name = _model_name(filename)
    current = mmengine_loaders.get_deprecated_model_names().get(name, name)
    if current != name:
        print_log(f'{filename} is deprecated in favor of open-mmlab://{current}', 'current', logging.WARNING)
    source = mmengine_loaders.get_external_models()[current]
    if source.startswith(('http://', 'https://')):
        return load_from_http(source, map_location)
    return load_from_local(str(Path(mmengine_loaders._get_mmengine_home(), source)), map_location)


def load_from_mmcls(filename: str, map_location=None):
    """Loads the backbone of a model of MMClassification by name, as in ``mmcls://resnet50_8xb32_in1k``."""
    checkpoint = load_from_http(mmengine_loaders.get_mmcls_models()[_model_name(filename)], map_location)
    return mmengine_loaders._process_mmcls_checkpoint(checkpoint)


# By the names of MMEngine's loaders; it logs the part after load_from_.
LOADERS = {
    loader.__name__: loader
    for loader in (
        load_from_local,
        load_from_http,
        load_from_torchvision,
        load_from_openmmlab,
        load_from_mmcls,
    )
}
# Files of safetensors have a scheme of their own because MMEngine's loader of files stays with torch before 2.6.
ADDED_LOADERS = {'hf://': load_from_hf, r'(?!\S+://).*\.safetensors$': load_from_local}


@contextlib.contextmanager
def _rank_0_first() -> Iterator[None]:
    """The other ranks wait until rank 0 leaves the context, so that it alone downloads to a shared cache."""
    rank, _ = get_dist_info()
    if rank > 0:
        barrier()
    try:
        yield
    finally:
        if rank == 0:  # after an error too, because the other ranks wait
            barrier()


def _model_name(url: str) -> str:
    return url.partition('://')[2]


def _is_safetensors(path: Path) -> bool:
    return path.suffix == '.safetensors'


def _reader_of(path: Path) -> Callable:
    """What reads a checkpoint file: ``torch.load``, or a function with such arguments."""
    if not _is_safetensors(path):
        return torch.load
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError(f'checkpoint {path} needs the package safetensors: pip install safetensors') from error

    def read(path: Path, map_location, weights_only: bool) -> dict[str, dict[str, torch.Tensor]]:
        device = _device(map_location)
        return dict(state_dict={name: tensor.to(device) for name, tensor in load_file(path).items()})

    return read


def _device(map_location) -> torch.device | str:
    """Where ``torch.load`` with this ``map_location`` would put a tensor that was saved from the CPU."""
    if callable(map_location):
        storage = map_location(torch.UntypedStorage(0), 'cpu')
        return 'cpu' if storage is None else storage.device
    if isinstance(map_location, Mapping):
        return map_location.get('cpu', 'cpu')
    return map_location or 'cpu'


def _read(name: str, source, map_location, load: Callable):
    """Loads a source and drops ``meta['config']``. Errors refer to the source as ``name``."""
    try:
        with _stand_ins_allowed():
            checkpoint = with_values(load(source, map_location=map_location, weights_only=True))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # a damaged or hostile pickle can raise anything
        # If a device is missing or out of memory, torch's own message is best.
        if isinstance(error, RuntimeError) and 'PytorchStreamReader' not in str(error):
            raise
        raise pickle.UnpicklingError(f'checkpoint {name} {_problem(error)}') from error
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)  # written by MMCV, and Runner.resume would run it
    return checkpoint


@contextlib.contextmanager
def _stand_ins_allowed() -> Iterator[None]:
    """Adds the stand-ins to torch's allow-list, in place of entries of other packages under the same names.

    The list is a set: of two entries under the same name, torch could use either. Does nothing with torch before 2.6.
    """
    if not can_allow_globals_by_name:
        yield
        return
    allow_list = torch.serialization
    with _loading:
        replaced = [allowed for allowed in allow_list.get_safe_globals() if _name_of(allowed) in STAND_INS]
        try:
            # Leaving the context that adds entries is the public way to remove them.
            allow_list.safe_globals(replaced).__exit__(None, None, None)
            with allow_list.safe_globals([(stand_in, name) for name, stand_in in STAND_INS.items()]):
                yield
        finally:
            allow_list.add_safe_globals(replaced)


def _name_of(allowed: Callable | tuple[Callable, str]) -> str:
    return allowed[1] if isinstance(allowed, tuple) else f'{allowed.__module__}.{allowed.__qualname__}'


def _problem(error: Exception) -> str:
    message = str(error)
    if name := re.search(r'GLOBAL (\S+)', message):
        hint = 'give a file that holds weights and logs only'
        return f'names {name[1]}, which is no plain value: {hint}'
    # torch's message recommends weights_only=False, which would run code in the file: keep only the reason.
    reason = re.split(r'Check the documentation|\. ', message.rpartition('WeightsUnpickler error:')[2])[0].strip()
    if reason.startswith('it '):  # as plain_values.py says it
        return f'is refused, because {reason}: give a file of tensors, numbers and plain containers'
    reason = textwrap.shorten(f'{type(error).__name__}: {reason}', LONGEST_REASON, placeholder=' ...').rstrip(':')
    return f'cannot be read ({reason}): give the whole file, as torch.save or safetensors wrote it'
