# The demo's CA-HRNet.
_base_ = './hrnet_w16_128x96.py'

model = dict(backbone=dict(type='CAHRNet'))
