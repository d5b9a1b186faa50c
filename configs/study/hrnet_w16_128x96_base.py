# The study's HRNet from scratch, of the demo's size: from these weights start the other networks of this folder.
# tools/run_study.py trains them on folds of a data set; docs/results.md compares them.
_base_ = ['../hrnet_w16_coco_128x96.py', '../_base_/hrnet_w16_shallow.py']

model = dict(backbone=dict(extra=_base_.shallow), train_cfg=dict(compute_acc=False))

train_pipeline = _base_.train_pipeline
for transform in train_pipeline:
    if transform['type'] == 'RandomBBoxTransform':
        transform.update(rotate_factor=30, scale_factor=(0.75, 1.25))
del transform
# Without workers that live on, a training that was interrupted ends as one that was not.
train_dataloader = dict(batch_size=32, persistent_workers=False, dataset=dict(pipeline=train_pipeline))
# The rate below is for 32 images.
auto_scale_lr = dict(base_batch_size=32)
# In ground-truth boxes.
val_dataloader = test_dataloader = dict(dataset=dict(bbox_file=None))

# One cycle. MMEngine's OneCycleLR would give every parameter the same rate, whatever its lr_mult.
optim_wrapper = dict(type='Bfloat16OptimWrapper', optimizer=dict(lr=4e-3))
train_cfg = dict(max_epochs=24, val_interval=24)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=8, start_factor=0.04, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=8, end=24, eta_min_ratio=1e-3, by_epoch=True, convert_to_iter_based=True),
]

default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(interval=1, max_keep_ckpts=2, save_best=None),
    layout=dict(type='ChannelsLastHook'),
)
custom_hooks = [
    *_base_.custom_hooks,
    # With the statistics of norms, which are those of other weights otherwise.
    dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.002, update_buffers=True, priority=49),
]
randomness = dict(seed=0, deterministic=True)
