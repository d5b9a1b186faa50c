# CA-HRNet-W32 on CrowdPose as MMPose trains HRNet there, evaluated by crowd level too. See docs/datasets.md.
_base_ = './hrnet_w32_crowdpose_256x192.py'

model = dict(backbone=dict(type='CAHRNet'))
