# The demo's CA-HRNet: narrow, shallow, and a schedule of minutes on two CPU cores.
_base_ = '../ca_hrnet_w16_coco_128x96.py'

model = dict(
    backbone=dict(
        extra=dict(
            stage1=dict(num_blocks=(1,), num_channels=(32,)),
            stage3=dict(num_modules=1),
            stage4=dict(num_modules=1),
        )
    )
)

optim_wrapper = dict(optimizer=dict(lr=2e-3))
train_cfg = dict(max_epochs=12, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.1, by_epoch=False),
    dict(type='MultiStepLR', begin=0, end=12, milestones=[9, 11], gamma=0.2, by_epoch=True),
]

# One process each: the demo trains two networks side by side.
train_dataloader = dict(num_workers=1)
val_dataloader = dict(num_workers=1)
test_dataloader = val_dataloader

default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=1, max_keep_ckpts=2))
randomness = dict(seed=0)
