# The baseline of ca_hrnet_w32_ochuman_256x192.py.
_base_ = './ca_hrnet_w32_ochuman_256x192.py'

model = dict(backbone=dict(type='HRNet'))
