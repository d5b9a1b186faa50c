"""Where the files of a COCO folder are, and how the tests write them."""

import json
from pathlib import Path

ANNOTATIONS = 'annotations/person_keypoints_{}2017.json'
DETECTIONS = 'person_detection_results/COCO_val2017_detections_AP_H_56_person.json'


def write(path: Path, content) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
