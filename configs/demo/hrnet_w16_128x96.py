# The demo's baseline.
_base_ = './ca_hrnet_w16_128x96.py'

model = dict(backbone=dict(type='HRNet'))
