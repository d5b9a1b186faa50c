# The demo's HRNet from scratch: narrow, shallow, and a schedule of minutes on two CPU cores.
_base_ = ['../hrnet_w16_coco_128x96.py', '../_base_/hrnet_w16_shallow.py']

# Distribution-aware coordinates: a cell of these heatmaps is four pixels.
codec = dict(_base_.codec, unbiased=True)
model = dict(
    backbone=dict(extra=_base_.shallow),
    head=dict(decoder=codec),
    train_cfg=dict(compute_acc=False),  # which bfloat16 does not have
)

# Whole upright people: little rotation, and no crops of half a body.
train_pipeline = [transform for transform in _base_.train_pipeline if transform['type'] != 'RandomHalfBody']
for transform in train_pipeline:
    if transform['type'] == 'RandomBBoxTransform':
        transform.update(rotate_factor=15)
    elif transform['type'] == 'GenerateTarget':
        transform['encoder'] = codec
del transform
# Workers that live on are waited for at the end, 5 seconds each, if another loader began after them.
train_dataloader = dict(batch_size=32, persistent_workers=False, dataset=dict(pipeline=train_pipeline))
# Ground-truth boxes: a test is of poses alone.
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
