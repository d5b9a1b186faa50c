import os

import pytest

from ca_hrnet_plugin.whole_file import whole_file


def write(path, text):
    with whole_file(path) as unfinished:
        unfinished.write_text(text)


def test_a_link_stays_and_its_file_is_replaced(tmp_path):
    (tmp_path / 'file').write_text('before')
    (tmp_path / 'link').symlink_to('file')
    write(tmp_path / 'link', 'after')
    assert (tmp_path / 'link').is_symlink()
    assert (tmp_path / 'file').read_text() == 'after'


def test_a_folder_or_pipe_is_left_alone(tmp_path):
    (tmp_path / 'folder').mkdir()
    os.mkfifo(tmp_path / 'pipe')  # like /dev/null, which must not become a file
    for name in ('folder', 'pipe'):
        with pytest.raises(FileExistsError, match=f'{name} is not a file'):
            write(tmp_path / name, 'text')
    assert {path.name for path in tmp_path.iterdir()} == {'folder', 'pipe'}
    assert not (tmp_path / 'pipe').is_file()
