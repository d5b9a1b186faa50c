import base64
from html.parser import HTMLParser

import pytest
from report_page import write_report

PNG = b'\x89PNG\r\n\x1a\n and so on'
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'


class Reader(HTMLParser):
    """Collects what a browser would show and fetch."""

    def __init__(self, page):
        super().__init__()
        self.sources, self.text = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in ('src', 'href')]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def pictures(tmp_path):
    (tmp_path / 'curve.svg').write_bytes(SVG)
    (tmp_path / 'gallery.png').write_bytes(PNG)
    return {'Figure 5': [tmp_path / 'curve.svg'], 'Figure 6': [tmp_path / 'gallery.png']}


def test_the_page_holds_its_pictures_and_fetches_nothing(tmp_path, pictures):
    index = write_report(
        tmp_path / 'report', 'A & B', {'Command': 'demo <&> "{x}"'}, {'Table 1': '<table></table>'}, pictures
    )
    assert [path.name for path in (tmp_path / 'report').iterdir()] == ['index.html']
    page = Reader(index.read_text(encoding='utf-8'))
    assert page.sources == [
        f'data:image/svg+xml;base64,{base64.b64encode(SVG).decode()}',
        f'data:image/png;base64,{base64.b64encode(PNG).decode()}',
    ]
    assert {'A & B', 'Command', 'demo <&> "{x}"'} <= set(page.text), 'text, whatever it holds'
    headings = [text for text in page.text if text in ('Table 1', 'Figure 5', 'Figure 6')]
    assert headings == ['Table 1', 'Figure 5', 'Figure 6']


def test_a_missing_picture_leaves_the_page_as_it_was(tmp_path, pictures):
    index = write_report(tmp_path, 'Demo', {}, {}, pictures)
    before = index.read_bytes()
    with pytest.raises(ValueError, match=r'nowhere\.png is missing'):
        write_report(tmp_path, 'Demo', {}, {}, {'Figure 7': [tmp_path / 'nowhere.png']})
    assert index.read_bytes() == before
