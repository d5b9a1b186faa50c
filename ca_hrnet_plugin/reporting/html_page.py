"""A report as a single HTML page with embedded pictures."""

import base64
import mimetypes
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from ..whole_file import whole_file

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --text: #1b1f24; --muted: #57606a; --line: #d0d7de; --page: #ffffff; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --text: #e6edf3; --muted: #9aa4af; --line: #3d444d; --page: #0d1117; }}
}}
body {{ margin: 2.5rem auto; padding: 0 1.25rem; max-width: 66rem; background: var(--page); color: var(--text);
  font: 16px/1.55 system-ui, sans-serif; }}
h1 {{ font-size: 1.7rem; margin-bottom: 0.5rem; }}
h2 {{ font-size: 1.2rem; margin: 2.5rem 0 0.75rem; }}
table {{ border-collapse: collapse; font-size: clamp(0.65rem, 2.6vw, 0.9rem); font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.3rem clamp(0.1rem, 1vw, 0.75rem); border-bottom: 1px solid var(--line); text-align: right; }}
th:first-child, td:first-child {{ text-align: left; }}
thead th {{ border-bottom: 2px solid var(--text); }}
.wide {{ overflow-x: auto; }}
.pictures {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 0.75rem; }}
img {{ display: block; width: 100%; max-width: 48rem; margin: auto; background: #ffffff; border-radius: 6px; }}
</style>
</head>
<body>
<h1>{title}</h1>
{sections}
</body>
</html>
"""


def write_report(out_dir: str | Path, title: str, sections: Mapping[str, Sequence[str | Path]]) -> Path:
    """Writes ``index.html``, which needs no other file, because pictures are embedded.

    Args:
        out_dir (str | Path): The folder, which is created if necessary.
        title (str): The page's heading.
        sections (Mapping[str, Sequence[str | Path]]): The heading and the parts of each section. A string is a
            paragraph, or HTML if it starts with a tag; a path is a PNG or JPEG file. Pictures come after the text.

    Returns:
        Path: The page.

    Raises:
        ValueError: A picture is missing, or neither PNG nor JPEG.
    """
    page = _PAGE.format(
        title=escape(title), sections='\n'.join(_section(heading, parts) for heading, parts in sections.items())
    )
    index = Path(out_dir, 'index.html')
    with whole_file(index) as unfinished:
        unfinished.write_text(page, encoding='utf-8')
    return index


def _section(heading: str, parts: Sequence[str | Path]) -> str:
    texts = [part if part.startswith('<') else f'<p>{escape(part)}</p>' for part in parts if isinstance(part, str)]
    pictures = [f'<img src="{_data_uri(part)}" alt="{escape(heading)}">' for part in parts if isinstance(part, Path)]
    if pictures:
        pictures = ['<div class="pictures">', *pictures, '</div>']
    return '\n'.join([f'<h2>{escape(heading)}</h2>', *texts, *pictures])


def _data_uri(picture: Path) -> str:
    if picture.suffix not in ('.png', '.jpg') or not picture.is_file():
        raise ValueError(f'{picture} is missing, or neither PNG nor JPEG: give the picture in one of these formats')
    content = base64.b64encode(picture.read_bytes()).decode()
    return f'data:{mimetypes.guess_type(picture.name)[0]};base64,{content}'
