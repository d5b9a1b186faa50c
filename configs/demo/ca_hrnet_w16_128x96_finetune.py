# The demo's CA-HRNet, warm-started from the demo's HRNet: load_from names its checkpoint.
_base_ = './hrnet_w16_128x96_finetune.py'

model = dict(backbone=dict(type='CAHRNet'))
