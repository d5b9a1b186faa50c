# CA-HRNet-W32 on COCO as the paper trains it: the network of section 3 under its baseline's protocol.
_base_ = './hrnet_w32_coco_256x192.py'

model = dict(backbone=dict(type='CAHRNet'))
