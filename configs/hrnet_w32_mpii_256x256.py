# The baseline of ca_hrnet_w32_mpii_256x256.py.
_base_ = './ca_hrnet_w32_mpii_256x256.py'

model = dict(backbone=dict(type='HRNet'))
