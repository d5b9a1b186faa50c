# HRNet for further epochs from a trained one, which load_from names.
_base_ = './hrnet_w16_128x96_base.py'

optim_wrapper = dict(optimizer=dict(lr=2e-3))
train_cfg = dict(max_epochs=10, val_interval=10)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=3, start_factor=0.04, by_epoch=True, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=3, end=10, eta_min_ratio=1e-3, by_epoch=True, convert_to_iter_based=True),
]
