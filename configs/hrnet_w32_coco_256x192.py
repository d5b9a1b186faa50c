# HRNet-W32 on COCO as the paper trains it: the baseline of Table 1. docs/paper.md lists what the paper leaves open.
_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py'
custom_imports = dict(imports=['ca_hrnet_plugin'], allow_failed_imports=False)

# Preprocessing: section 4.1. MMPose's transforms, with the paper's rotation and scale. Configs with another codec build
# their pipelines from these parts.
loading = [dict(type='LoadImage'), dict(type='GetBBoxCenterScale')]
augmentation = [
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomHalfBody'),
    dict(type='RandomBBoxTransform', rotate_factor=45, scale_factor=(0.7, 1.35)),
]
affine = dict(type='TopdownAffine', input_size=_base_.codec.input_size)
train_pipeline = [
    *loading,
    *augmentation,
    affine,
    dict(type='GenerateTarget', encoder=_base_.codec),
    dict(type='PackPoseInputs'),
]

# Where the data is: data/coco, or the folder coco in the one that the environment variable names.
data_root = '{{$CA_HRNET_DATA:data}}/coco/'

# Batch size 16 with the stock learning rate, 5e-4: section 4.1. --auto-scale-lr multiplies the rate by
# GPUs x batch_size / base_batch_size: by 8, to 4e-3, on 8 GPUs with 16 images each. Stock MMPose has 5e-4 for 512.
train_dataloader = dict(batch_size=16, dataset=dict(data_root=data_root, pipeline=train_pipeline))
auto_scale_lr = dict(base_batch_size=16)

val_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        bbox_file=data_root + 'person_detection_results/COCO_val2017_detections_AP_H_56_person.json',
    )
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + 'annotations/person_keypoints_val2017.json')
test_evaluator = val_evaluator
