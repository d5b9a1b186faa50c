# CA-HRNet, warm-started from a trained HRNet, which load_from names.
_base_ = './hrnet_w16_128x96.py'

model = dict(backbone=dict(type='CAHRNet'))
