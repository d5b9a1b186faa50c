# CA-HRNet-W32 on MPII with MMPose's protocol. See docs/datasets.md.
_base_ = './hrnet_w32_mpii_256x256.py'

model = dict(backbone=dict(type='CAHRNet'))
