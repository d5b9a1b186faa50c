# The small HRNet for a few more epochs on one data set in COCO format, from weights that load_from names.
_base_ = './hrnet_w16_128x96.py'

train_dataloader = dict(dataset=dict(_base_.photographs, _delete_=True, pipeline=_base_.train_pipeline))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=3, val_interval=1)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.1, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=3, eta_min=1e-6, by_epoch=True, convert_to_iter_based=True),
]
custom_hooks = _base_.custom_hooks[:-1]  # without averaged weights, which would lag behind
