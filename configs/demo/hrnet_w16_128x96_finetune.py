# The demo's HRNet for a few more epochs: load_from names the checkpoint to continue from.
_base_ = './hrnet_w16_128x96.py'

optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=3, val_interval=1)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.1, by_epoch=False),
    dict(type='CosineAnnealingLR', T_max=3, eta_min=1e-6, by_epoch=True, convert_to_iter_based=True),
]
