# A narrow CA-HRNet on the data and schedule of its baseline.
_base_ = './hrnet_w16_lsp_128x96.py'

model = dict(backbone=dict(type='CAHRNet'))
