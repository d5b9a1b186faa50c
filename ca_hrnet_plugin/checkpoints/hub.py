"""Finds checkpoints on the Hugging Face Hub with its client, the package ``huggingface_hub``.

The client keeps the cache and reads ``HF_HOME``, ``HF_ENDPOINT``, ``HF_HUB_OFFLINE`` and ``HF_TOKEN``. It is imported
when an address is used, and not before.
"""

import contextlib
import re
from collections.abc import Iterator
from types import ModuleType

from ..messages import in_one_line

# The Hub's own form of an address has the revision after REPO.
ADDRESS = re.compile(r'hf://([^/@]+/[^/@]+)(?:@(refs/\w+/[^/]+|[^/@]+))?(?:/([^@]+))?(?:@([^@]+))?')
DEFAULT_FILES = ('model.safetensors', 'pytorch_model.bin')


class HubError(OSError):
    """The Hub does not give a checkpoint.

    Args:
        address (str): The address of the checkpoint.
        problem (str): The end of a sentence that begins with the checkpoint. Also an attribute.
        hint (str): What to do.
    """

    def __init__(self, address: str, problem: str, hint: str):
        super().__init__(f'checkpoint {address} {problem}: {hint}')
        self.problem = problem


def download(address: str) -> str:
    """Downloads a file to the client's cache, unless the current version is there.

    Args:
        address (str): ``hf://OWNER/REPO[/FILE][@REVISION]``, where REVISION is a branch, a tag or a commit. Without
            FILE, the first of :data:`DEFAULT_FILES` in the repository.

    Returns:
        str: The path of the file in the cache. Without a connection, an older version may be there.

    Raises:
        HubError: The file is not available, or the client is not installed.
    """
    repo, files, revision = _parts(address)
    client = _client(address)
    with _errors_in_one_line(client, address):
        for file in files:
            try:
                return client.hf_hub_download(repo, file, revision=revision)
            except client.errors.LocalEntryNotFoundError:  # no connection, and not this file in the cache
                if cached := _cached(client, repo, files, revision):
                    return cached
                raise
            except client.errors.EntryNotFoundError:
                if file == files[-1]:
                    raise


def find(address: str) -> str | None:
    """Finds a file without downloading it.

    Args:
        address (str): As for :func:`download`.

    Returns:
        str | None: The path of the file in the client's cache, or None if it is on the Hub alone.

    Raises:
        HubError: The file is not available, or the client is not installed.
    """
    repo, files, revision = _parts(address)
    client = _client(address)
    with _errors_in_one_line(client, address):
        if cached := _cached(client, repo, files, revision):
            return cached
        for file in files:
            try:
                client.get_hf_file_metadata(client.hf_hub_url(repo, file, revision=revision))
                return None
            except client.errors.EntryNotFoundError:
                if file == files[-1]:
                    raise


def _cached(client: ModuleType, repo: str, files: tuple[str, ...], revision: str | None) -> str | None:
    paths = [client.try_to_load_from_cache(repo, file, revision=revision) for file in files]
    return next((path for path in paths if isinstance(path, str)), None)


def _client(address: str) -> ModuleType:
    try:
        import huggingface_hub.errors
    except ImportError as error:
        problem = f'needs the package huggingface_hub ({in_one_line(error)})'
        raise HubError(address, problem, 'pip install huggingface_hub safetensors') from error
    return huggingface_hub


def _parts(address: str) -> tuple[str, tuple[str, ...], str | None]:
    """The repository, the files to look for, and the revision, if given."""
    match = ADDRESS.fullmatch(address)
    if not match or (match[2] and match[4]):
        raise HubError(address, 'is not an address on the Hub', 'give hf://OWNER/REPO[/FILE][@REVISION]')
    repo, revision, file, last_revision = match.groups()
    return repo, (file,) if file else DEFAULT_FILES, revision or last_revision


@contextlib.contextmanager
def _errors_in_one_line(client: ModuleType, address: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the client raises errors of several packages
        raise HubError(address, *_problem(client, address, error)) from error


def _problem(client: ModuleType, address: str, error: Exception) -> tuple[str, str]:
    """The problem and the hint for a :class:`HubError`."""
    errors, endpoint = client.errors, client.constants.ENDPOINT
    repo, files, revision = _parts(address)
    revision = revision or 'main'
    if isinstance(error, errors.LocalEntryNotFoundError):
        error = error.__cause__ or error
    status = getattr(getattr(error, 'response', None), 'status_code', None)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return 'is not in the cache, and HF_HUB_OFFLINE is set', 'load it once without HF_HUB_OFFLINE'
    if isinstance(error, errors.EntryNotFoundError):
        names = ' or '.join(files)
        return f'not found: no {names} at revision {revision}', f'give a file of {endpoint}/{repo}/tree/{revision}'
    if isinstance(error, errors.RevisionNotFoundError):
        return f'not found: no revision {revision}', 'give a branch, a tag or a commit, as in @main'
    if isinstance(error, errors.GatedRepoError):
        return 'is gated', f'accept its terms at {endpoint}/{repo}, and set HF_TOKEN to your token'
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 403):
        problem = f'does not exist, or cannot be read without a token for it (HTTP {status})'
        return problem, 'correct the name, or set HF_TOKEN'
    problem = f'cannot be fetched from {endpoint} ({in_one_line(error)})'
    return problem, 'check the connection and HF_ENDPOINT, or give a file on this disk'
