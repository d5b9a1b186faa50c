import io
import sys

import pytest

from ca_hrnet_plugin.messages import replace_unprintable
from ca_hrnet_plugin.preflight import main as check


@pytest.mark.parametrize('encoding', ['ascii', 'cp437', 'cp932', 'cp949'])
def test_a_table_survives_a_terminal_that_lacks_its_characters(encoding, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    replace_unprintable()
    print('Zürich 人 😀 63.4')
    assert raw.getvalue().rstrip().endswith(b'63.4')


def test_a_check_is_not_lost_to_a_path_that_the_terminal_lacks(tmp_path, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(raw, encoding='ascii', write_through=True))
    (tmp_path / 'Zoë.py').write_text("load_from = 'Zoë.pth'")
    assert check([str(tmp_path / 'Zoë.py')]) == 1
    assert b'Zo?.py, to train: 1 problem' in raw.getvalue()
