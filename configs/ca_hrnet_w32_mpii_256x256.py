# CA-HRNet-W32 on MPII as MMPose trains HRNet there. See docs/datasets.md.
_base_ = './hrnet_w32_mpii_256x256.py'

model = dict(backbone=dict(type='CAHRNet'))
