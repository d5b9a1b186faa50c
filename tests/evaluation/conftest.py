import json

import pytest


@pytest.fixture
def write_json(tmp_path):
    def write(name: str, content) -> str:
        (tmp_path / name).write_text(json.dumps(content))
        return str(tmp_path / name)

    return write
