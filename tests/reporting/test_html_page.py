import base64
import re

import cv2
import numpy as np
import pytest

from ca_hrnet_plugin.reporting import write_report


@pytest.fixture
def pictures(tmp_path):
    files = [tmp_path / 'curve.png', tmp_path / 'poses.jpg']
    for file in files:
        cv2.imwrite(str(file), np.zeros((600, 2000, 3), np.uint8))
    return files


def write(folder, pictures):
    return write_report(folder, 'A & B', {'Poses': pictures, 'Table 1 <&>': ['demo <&> "{x}"', '<table></table>']})


def test_the_page_holds_its_pictures_and_fetches_nothing(tmp_path, pictures):
    index = write(tmp_path / 'report', pictures)
    assert [path.name for path in (tmp_path / 'report').iterdir()] == ['index.html']
    page = index.read_text(encoding='utf-8')
    assert re.findall('(?:src|href)="(.*?)"', page) == [
        f'data:image/{kind};base64,{base64.b64encode(picture.read_bytes()).decode()}'
        for kind, picture in zip(('png', 'jpeg'), pictures, strict=True)
    ]
    assert '<table></table>' in page
    assert '<p>demo &lt;&amp;&gt; &quot;{x}&quot;</p>' in page, 'text, whatever it holds'
    assert re.findall('<h2>(.*?)</h2>', page) == ['Poses', 'Table 1 &lt;&amp;&gt;']


def test_a_missing_picture_leaves_the_old_page_unchanged(tmp_path, pictures):
    index = write(tmp_path, pictures)
    before = index.read_bytes()
    with pytest.raises(ValueError, match=r'nowhere\.png is missing'):
        write(tmp_path, [tmp_path / 'nowhere.png'])
    assert index.read_bytes() == before
