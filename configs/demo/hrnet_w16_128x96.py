# The demo's HRNet from scratch: narrow, shallow, and scheduled for minutes on two CPU cores.
_base_ = '../hrnet_w16_coco_128x96.py'

# Distribution-aware coordinates, because a cell of these heatmaps covers four pixels.
codec = dict(_base_.codec, unbiased=True)
model = dict(
    backbone=dict(
        extra=dict(
            stage1=dict(num_blocks=(1,), num_channels=(32,)),
            stage2=dict(num_blocks=(2, 2)),
            stage3=dict(num_modules=1, num_blocks=(2, 2, 2)),
            stage4=dict(num_modules=1, num_blocks=(2, 2, 2, 2)),
        )
    ),
    head=dict(decoder=codec),
    train_cfg=dict(compute_acc=False),  # not supported in bfloat16
)

# People are upright and whole: little rotation, and no half-body crops.
train_pipeline = [
    *_base_.loading,
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', rotate_factor=15, scale_factor=(0.7, 1.35)),
    _base_.affine,
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
# Persistent workers would delay the end by 5 seconds each if another loader was started after them.
train_dataloader = dict(batch_size=32, persistent_workers=False, dataset=dict(pipeline=train_pipeline))
# Ground-truth boxes, so that tests measure poses alone.
val_dataloader = test_dataloader = dict(batch_size=64, persistent_workers=False, dataset=dict(bbox_file=None))

optim_wrapper = dict(optimizer=dict(lr=4e-3))
train_cfg = dict(max_epochs=12, val_interval=4)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=100, start_factor=0.1, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=12, eta_min=4e-6, by_epoch=True, convert_to_iter_based=True),
]
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='EMAHook', ema_type='MomentumAnnealingEMA', momentum=0.005, priority='NORMAL'),
]

default_hooks = dict(
    logger=dict(interval=10), checkpoint=dict(interval=1, max_keep_ckpts=2), layout=dict(type='ChannelsLastHook')
)
randomness = dict(seed=0)
