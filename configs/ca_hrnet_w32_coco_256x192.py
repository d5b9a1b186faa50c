# CA-HRNet-W32 on COCO as the paper trains it. docs/paper.md says what the paper leaves open and how it is taken.
_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py'
custom_imports = dict(imports=['ca_hrnet_plugin'], allow_failed_imports=False)

# The network: section 3.
model = dict(backbone=dict(type='CAHRNet'))

# Preprocessing: section 4.1. The list is MMPose's own, with the paper's ranges.
train_pipeline = _base_.train_pipeline
for transform in train_pipeline:
    if transform['type'] == 'RandomBBoxTransform':
        transform.update(rotate_factor=45, scale_factor=(0.7, 1.35))
del transform

# Where the data is: data/coco, or the folder coco in the one that the environment variable names.
data_root = '{{$CA_HRNET_DATA:data}}/coco/'

# Batch size 16: section 4.1. The stock rate, 5e-4, is the paper's at this size; --auto-scale-lr scales it from here.
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
