# The baseline of ca_hrnet_w16_lsp_128x96.py.
_base_ = './ca_hrnet_w16_lsp_128x96.py'

model = dict(backbone=dict(type='HRNet'))
