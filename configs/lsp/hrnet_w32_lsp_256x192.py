# The baseline of ca_hrnet_w32_lsp_256x192.py.
_base_ = './ca_hrnet_w32_lsp_256x192.py'

model = dict(backbone=dict(type='HRNet'))
