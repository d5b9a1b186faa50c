# Fine-tunes a stock HRNet-W32 trained on COCO: what a few more epochs gain without attention.
_base_ = './hrnet_w32_coco_256x192.py'

# All weights come from this checkpoint.
load_from = (
    'https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/'
    'td-hm_hrnet-w32_8xb64-210e_coco-256x192-81c58e40_20220909.pth'
)
model = dict(backbone=dict(init_cfg=None))

# Trained layers continue at a tenth of the stock learning rate, which is the rate of epochs 170 to 200. Attention, if
# present, is untrained: it learns at the initial rate of the stock schedule.
optim_wrapper = dict(
    optimizer=dict(lr=5e-5),
    paramwise_cfg=dict(custom_keys={'.ca.': dict(lr_mult=10.0)}),
)

# A tenth of the stock schedule, with its steps at the same fractions.
train_cfg = dict(max_epochs=20, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=500, start_factor=0.001, by_epoch=False),
    dict(type='MultiStepLR', begin=0, end=20, milestones=[16, 19], gamma=0.1, by_epoch=True),
]
