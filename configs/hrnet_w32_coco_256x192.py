# The baseline of Table 1: stock HRNet-W32 under the very protocol of CA-HRNet.
_base_ = './ca_hrnet_w32_coco_256x192.py'

model = dict(backbone=dict(type='HRNet'))
