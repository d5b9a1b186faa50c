import io
import sys

import pytest
from arguments import replace_unprintable


@pytest.mark.parametrize('encoding', ['ascii', 'cp437', 'cp932', 'cp949'])
def test_a_table_survives_a_terminal_that_lacks_its_characters(encoding, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    replace_unprintable()
    print('Zürich 人 😀 63.4')
    assert raw.getvalue().rstrip().endswith(b'63.4')
