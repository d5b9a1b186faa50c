from .c_basic_block import CBasicBlock
from .ca_hrnet import CAHRNet
from .cbam import CBAM
from .coord_attention import CoordAttention
from .gate_profiles import GateProfiles

__all__ = ['CBAM', 'CAHRNet', 'CBasicBlock', 'CoordAttention', 'GateProfiles']
