# CA-HRNet-W32 on Human-Art and COCO together, with MMPose's protocol. See docs/datasets.md.
_base_ = './hrnet_w32_humanart_256x192.py'

model = dict(backbone=dict(type='CAHRNet'))
