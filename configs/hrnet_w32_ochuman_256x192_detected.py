# HRNet-W32 trained on COCO and tested on OCHuman in detected boxes. See docs/datasets.md.
_base_ = './hrnet_w32_ochuman_256x192.py'

bbox_file = '{{$CA_HRNET_DATA:data}}/ochuman/person_detection_results/ochuman_test_detections_person.json'
test_dataloader = dict(dataset=dict(bbox_file=bbox_file))
