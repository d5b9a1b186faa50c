# CA-HRNet-W32 on COCO with unbiased data processing.
_base_ = './hrnet_w32_coco_256x192_udp.py'

model = dict(backbone=dict(type='CAHRNet'))
