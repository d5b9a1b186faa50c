# CA-HRNet-W32 on CrowdPose with MMPose's protocol, also evaluated by crowd level. See docs/datasets.md.
_base_ = './hrnet_w32_crowdpose_256x192.py'

model = dict(backbone=dict(type='CAHRNet'))
