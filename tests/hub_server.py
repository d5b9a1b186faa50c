"""A server that answers its client as the Hugging Face Hub does when a file of a model is asked for."""

import hashlib
import http.server
import sys
import threading
import urllib.parse

import pytest

COMMIT = 'c0ffee' + 34 * '0'
VARIABLES = ('HF_ENDPOINT', 'HF_HOME', 'HF_HUB_CACHE', 'HF_HUB_OFFLINE', 'HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN')


class Hub(http.server.ThreadingHTTPServer):
    """Serves the branch main of its repositories.

    Attributes:
        files (dict[str, bytes]): What the repositories hold, by OWNER/REPO/FILE.
        private (set[str]): Repositories that only ``token`` opens; to others they seem not to exist.
        gated (set[str]): Repositories whose terms nobody has accepted.
        downloads (list[str]): Files whose content was sent.
    """

    token = 'hf_right'

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        super().__init__(('127.0.0.1', 0), _Handler)
        self.files, self.private, self.gated, self.downloads = {}, set(), set(), []
        self.monkeypatch = monkeypatch
        for variable in VARIABLES:
            monkeypatch.delenv(variable, raising=False)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def address(self) -> str:
        return f'http://127.0.0.1:{self.server_port}'

    def reconnect(self, **variables: str) -> None:
        """Starts the client anew, which reads its environment only when it is imported."""
        self.forget_client()
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def forget_client(self) -> None:
        for name in [name for name in sys.modules if name.partition('.')[0] == 'huggingface_hub']:
            del sys.modules[name]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = urllib.parse.unquote(self.path).strip('/')
        if path.startswith('storage/'):
            return self.send_file(path.removeprefix('storage/'))
        repo, _, rest = path.partition('/resolve/')
        revision, _, file = rest.partition('/')
        commit = {'X-Repo-Commit': COMMIT}
        is_known = any(name.startswith(f'{repo}/') for name in self.server.files)
        if not is_known or (repo in self.server.private and not self.is_authorized()):
            return self.answer(401, {'X-Error-Code': 'RepoNotFound'})
        if repo in self.server.gated:
            return self.answer(403, {'X-Error-Code': 'GatedRepo'})
        if revision not in ('main', COMMIT):
            return self.answer(404, {'X-Error-Code': 'RevisionNotFound'})
        content = self.server.files.get(f'{repo}/{file}')
        if content is None:
            return self.answer(404, {'X-Error-Code': 'EntryNotFound', **commit})
        # Large files are on another host; the hash in their ETag is that of the content.
        linked = {'X-Linked-Size': str(len(content)), 'X-Linked-Etag': f'"{hashlib.sha256(content).hexdigest()}"'}
        location = {'Location': f'http://localhost:{self.server.server_port}/storage/{repo}/{file}'}
        return self.answer(302, {**commit, **linked, **location})

    def is_authorized(self) -> bool:
        return self.headers.get('Authorization') == f'Bearer {self.server.token}'

    def send_file(self, name: str) -> None:
        self.server.downloads.append(name)
        self.answer(200, {}, self.server.files[name])

    def answer(self, status: int, headers: dict[str, str], content: bytes = b'') -> None:
        self.send_response(status)
        for name, value in {**headers, 'Content-Length': str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(content)

    def log_message(self, *_):
        pass
