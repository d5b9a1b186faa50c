# CA-HRNet whose gates start at 1, so that its warm start leaves norms as they are.
_base_ = './ca_hrnet_w16_128x96.py'

model = dict(backbone=dict(ca_cfg=dict(gate_scale=2)))
