# HRNet-W32 trained on COCO and tested on OCHuman in ground-truth boxes. See docs/datasets.md.
_base_ = './hrnet_w32_coco_256x192.py'

data_root = '{{$CA_HRNET_DATA:data}}/ochuman/'
ann_file = 'annotations/ochuman_coco_format_test_range_0.00_1.00.json'
test_dataloader = dict(
    dataset=dict(
        type='OCHumanDataset',
        data_root=data_root,
        ann_file=ann_file,
        data_prefix=dict(img='images/'),
        bbox_file=None,
    )
)
test_evaluator = dict(type='CrowdCocoMetric', ann_file=data_root + ann_file, prefix='ochuman')
