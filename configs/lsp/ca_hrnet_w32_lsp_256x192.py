# CA-HRNet-W32 on the data and schedule of its baseline.
_base_ = './hrnet_w32_lsp_256x192.py'

model = dict(backbone=dict(type='CAHRNet'))
