"""The report: one page of HTML with everything in it, to open, send or keep."""

import base64
import mimetypes
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from ca_hrnet_plugin.whole_file import whole_file

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
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 0.15rem 1rem; margin: 0; }}
dt {{ color: var(--muted); }}
dd {{ margin: 0; overflow-wrap: anywhere; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; margin-bottom: 1rem; }}
th, td {{ padding: 0.3rem 0.5rem; border-bottom: 1px solid var(--line); }}
th:first-child, td:first-child {{ text-align: left; white-space: nowrap; }}
thead th {{ border-bottom: 2px solid var(--text); }}
figure {{ margin: 0 0 1.25rem; padding: 0.75rem; background: #ffffff; border: 1px solid var(--line);
  border-radius: 6px; text-align: center; }}
img {{ min-width: 80%; max-width: 100%; height: auto; }}
</style>
</head>
<body>
<h1>{title}</h1>
<dl>
{facts}
</dl>
{sections}
</body>
</html>
"""


def write_report(
    out_dir: str | Path,
    title: str,
    facts: Mapping[str, str],
    tables: Mapping[str, str],
    pictures: Mapping[str, Sequence[str | Path]],
) -> Path:
    """Writes ``index.html``, which needs no other file: pictures are embedded.

    Args:
        out_dir (str | Path): The folder; made where it is not there.
        title (str): The page's heading.
        facts (Mapping[str, str]): What a reader has to know of the figures, such as data, machine and command.
        tables (Mapping[str, str]): Under each heading the HTML that ``format_tables(..., 'html')`` gives.
        pictures (Mapping[str, Sequence[str | Path]]): Under each heading PNG or SVG files, in order.

    Returns:
        Path: The page.

    Raises:
        ValueError: A picture is missing, or is neither PNG nor SVG.
    """
    sections = [_section(heading, f'<div class="wide">{table}</div>') for heading, table in tables.items()]
    for heading, paths in pictures.items():
        images = (f'<img src="{_data_uri(Path(path))}" alt="{escape(heading)}">' for path in paths)
        sections.append(_section(heading, '\n'.join(f'<figure>{image}</figure>' for image in images)))
    page = _PAGE.format(
        title=escape(title),
        facts='\n'.join(f'<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>' for name, fact in facts.items()),
        sections='\n'.join(sections),
    )
    index = Path(out_dir, 'index.html')
    with whole_file(index) as unfinished:
        unfinished.write_text(page, encoding='utf-8')
    return index


def _section(heading: str, body: str) -> str:
    return f'<h2>{escape(heading)}</h2>\n{body}'


def _data_uri(picture: Path) -> str:
    if picture.suffix not in ('.png', '.svg') or not picture.is_file():
        raise ValueError(f'{picture} is missing, or neither PNG nor SVG: a page can show no other picture')
    content = base64.b64encode(picture.read_bytes()).decode()
    return f'data:{mimetypes.guess_type(picture.name)[0]};base64,{content}'
