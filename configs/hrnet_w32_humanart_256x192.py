# HRNet-W32 on Human-Art and COCO together, with MMPose's protocol. See docs/datasets.md.
_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/humanart/td-hm_hrnet-w32_8xb64-210e_humanart-256x192.py'
custom_imports = dict(imports=['ca_hrnet_plugin'], allow_failed_imports=False)

# The folder that holds HumanArt and coco: the annotations refer to images of both.
data_root = '{{$CA_HRNET_DATA:data}}/'
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = test_dataloader = dict(
    dataset=dict(
        data_root=data_root,
        bbox_file=data_root + 'HumanArt/person_detection_results/HumanArt_validation_detections_AP_H_56_person.json',
    )
)
val_evaluator = test_evaluator = dict(ann_file=data_root + 'HumanArt/annotations/validation_humanart.json')
