"""Tables, figures and reports from what runs of MMPose leave on disk.

Each function reads files or takes the result of another function, so all of them work in a notebook.
:func:`read_result` reads the figures of a network, :func:`compare` compares networks, and :func:`format_tables` formats
the comparison. Functions that draw return a matplotlib figure. :func:`write_report` puts everything on an HTML page.
"""

from .comparison import read_comparison, write_comparison
from .complexity import measure_complexity
from .cost import measure_cost
from .gallery import draw_gallery
from .gate_overlay import draw_gates, record_gates
from .gate_report import report_gates
from .html_page import write_report
from .protocol import read_protocol
from .results import read_result
from .style import save_figure
from .table import compare, format_tables
from .training_curve import plot_training_curve

__all__ = [
    'compare',
    'draw_gallery',
    'draw_gates',
    'format_tables',
    'measure_complexity',
    'measure_cost',
    'plot_training_curve',
    'read_comparison',
    'read_protocol',
    'read_result',
    'record_gates',
    'report_gates',
    'save_figure',
    'write_comparison',
    'write_report',
]
