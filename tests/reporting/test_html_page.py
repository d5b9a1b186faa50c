import base64
import html
import json
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from ca_hrnet_plugin.reporting import write_report

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
# Writes into the title how wide the page is on a phone, with all that sticks out, and how many pictures it shows.
MEASURE = """<script>onload = () => parent.document.title = JSON.stringify([document.documentElement.scrollWidth,
    [...document.images].filter(image => image.naturalWidth).length])</script>"""


@pytest.fixture
def pictures(tmp_path):
    files = [tmp_path / 'curve.png', tmp_path / 'poses.jpg']
    for file in files:
        cv2.imwrite(str(file), np.zeros((600, 2000, 3), np.uint8))
    return files


def write(folder, pictures):
    cells = 'AP occlusion medium', '100.0', '100.0', '-100.0', '[-10.0, +10.0]'
    table = f'<table><tbody><tr><td>{"</td><td>".join(cells)}</td></tr></tbody></table>'
    return write_report(folder, 'A & B', {'Poses': pictures, 'Table 1 <&>': ['demo <&> "{x}"', table]})


def test_the_page_holds_its_pictures_and_fetches_nothing(tmp_path, pictures):
    index = write(tmp_path / 'report', pictures)
    assert [path.name for path in (tmp_path / 'report').iterdir()] == ['index.html']
    page = index.read_text(encoding='utf-8')
    assert re.findall('(?:src|href)="(.*?)"', page) == [
        f'data:image/{kind};base64,{base64.b64encode(picture.read_bytes()).decode()}'
        for kind, picture in zip(('png', 'jpeg'), pictures, strict=True)
    ]
    assert '<p>demo &lt;&amp;&gt; &quot;{x}&quot;</p>' in page, 'text, whatever it holds'
    assert re.findall('<h2>(.*?)</h2>', page) == ['Poses', 'Table 1 &lt;&amp;&gt;']


def test_a_missing_picture_leaves_the_old_page_unchanged(tmp_path, pictures):
    index = write(tmp_path, pictures)
    before = index.read_bytes()
    with pytest.raises(ValueError, match=r'nowhere\.png is missing'):
        write(tmp_path, [tmp_path / 'nowhere.png'])
    assert index.read_bytes() == before


@pytest.mark.skipif(CHROMIUM is None, reason='needs Chromium')
def test_on_a_phone_nothing_sticks_out(tmp_path, pictures):
    page = write(tmp_path, pictures).read_text(encoding='utf-8') + MEASURE
    phone = tmp_path / 'phone.html'
    phone.write_text(f'<meta charset="utf-8"><iframe width="390" height="844" srcdoc="{html.escape(page)}"></iframe>')
    options = ('--headless', '--no-sandbox', '--disable-gpu', f'--user-data-dir={tmp_path}/profile', '--dump-dom')
    shown = subprocess.run([CHROMIUM, *options, phone.as_uri()], capture_output=True, text=True, timeout=120).stdout
    assert json.loads(re.search('<title>(.*?)</title>', shown)[1]) == [390, 2]
