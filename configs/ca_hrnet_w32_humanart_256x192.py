# CA-HRNet-W32 on Human-Art and COCO together as MMPose trains HRNet there. See docs/datasets.md.
_base_ = './hrnet_w32_humanart_256x192.py'

model = dict(backbone=dict(type='CAHRNet'))
