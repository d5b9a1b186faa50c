"""The style of figures: the text size of a paper, colours that colour-blind readers can distinguish, file formats."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from ..whole_file import whole_file

PICTURE_FORMATS = ('.png', '.jpg', '.svg', '.pdf')

# By Okabe and Ito, https://jfly.uni-koeln.de/color/. Runs also differ by marker.
COLOURS = ('#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#000000')
MARKERS = ('o', 's', '^', 'D', 'v', 'P', 'X')

# A decorator for functions that draw.
paper_style = matplotlib.rc_context(
    {
        'font.size': 8,
        'axes.titlesize': 8,
        'axes.labelsize': 8,
        'xtick.labelsize': 7,
        'ytick.labelsize': 7,
        'legend.fontsize': 7.5,
        'legend.frameon': False,
        'axes.spines.top': False,
        'axes.spines.right': False,
        'axes.linewidth': 0.6,
        'lines.linewidth': 1.3,
    }
)


def save_figure(figure: Figure, path: str | Path, dpi: int = 300) -> None:
    """Writes a figure as PNG, JPEG, SVG or PDF, according to the suffix.

    Args:
        figure (Figure): A figure from a function of this package.
        path (str | Path): The file; its folder is created if necessary.
        dpi (int): Pixels per inch of PNG and JPEG.

    Raises:
        ValueError: The suffix is unknown.
    """
    if Path(path).suffix not in PICTURE_FORMATS:
        raise ValueError(f'cannot write a picture to {path}: give a name that ends in {", ".join(PICTURE_FORMATS)}')
    # Publishers ask for TrueType fonts in a PDF.
    with matplotlib.rc_context({'pdf.fonttype': 42}), whole_file(path) as unfinished:
        figure.savefig(unfinished, dpi=dpi)
