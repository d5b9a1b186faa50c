from .c_basic_block import CBasicBlock
from .ca_hrnet import CAHRNet
from .coord_attention import CoordAttention

__all__ = ['CAHRNet', 'CBasicBlock', 'CoordAttention']
