# CA-HRNet-W32 on COCO as the paper trains it: the protocol is its baseline's, and the network that of section 3.
_base_ = './hrnet_w32_coco_256x192.py'

model = dict(backbone=dict(type='CAHRNet'))
