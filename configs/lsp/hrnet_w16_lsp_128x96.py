# A narrow HRNet from scratch on Leeds Sports Pose Extended in COCO's layout, or on another data set in that layout,
# whose folder STUDY_DATA names: half an hour on a CPU core. docs/results.md compares the networks of this folder.
_base_ = '../hrnet_w16_coco_128x96.py'

data_root = '{{$CA_HRNET_DATA:data}}/{{$STUDY_DATA:lsp}}/'
# Without workers that live on, a training that was interrupted ends as one that was not.
train_dataloader = dict(batch_size=32, persistent_workers=False, dataset=dict(data_root=data_root))
# The rate below is for 32 images: --auto-scale-lr multiplies it by GPUs x batch_size / 32, so by 4 on 4 GPUs.
auto_scale_lr = dict(base_batch_size=32)
# In ground-truth boxes.
val_dataloader = test_dataloader = dict(dataset=dict(data_root=data_root, bbox_file=None))
val_evaluator = test_evaluator = dict(ann_file=data_root + 'annotations/person_keypoints_val2017.json')

# Short for a network of this size: what it shows is the difference, and not how far the network gets.
optim_wrapper = dict(optimizer=dict(lr=2e-3))
train_cfg = dict(max_epochs=10, val_interval=2)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=50, start_factor=0.1, by_epoch=False),
    dict(type='MultiStepLR', begin=0, end=10, milestones=[7, 9], gamma=0.1, by_epoch=True),
]
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=1, max_keep_ckpts=2))
randomness = dict(seed=0, deterministic=True)
