import copy
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from ca_hrnet_plugin import config_path


@pytest.fixture(scope='session')
def whole_config(tmp_path_factory):
    """Read only once, because reading it takes longer than most tests here."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv('CA_HRNET_DATA', str(tmp_path_factory.mktemp('data')))
        return Config.fromfile(config_path('ca_hrnet_w16_coco_128x96'))


@pytest.fixture
def config(whole_config):
    """The smallest config of the plugin, from scratch."""
    return copy.deepcopy(whole_config)


@pytest.fixture
def coco(config):
    """Where the config's data is: two images of 64x48 with two people each, in both splits, and boxes of val2017."""
    root = Path(config.data_root)
    shutil.rmtree(root, ignore_errors=True)
    person = dict(category_id=1, bbox=[5, 5, 30, 35], area=700, keypoints=[9, 9, 1] * 17, num_keypoints=17, iscrowd=0)
    content = dict(
        images=[dict(id=image_id, file_name=f'{image_id}.png', width=64, height=48) for image_id in (31, 32)],
        annotations=[dict(person, id=501 + index, image_id=31 + index // 2) for index in range(4)],
        categories=[dict(id=1, name='person')],
    )
    boxes = [dict(image_id=image_id, category_id=1, bbox=[5, 5, 30, 35], score=0.9) for image_id in (31, 32)]
    annotations = root / 'annotations/person_keypoints_{}2017.json'
    files = dict(boxes=Path(config.val_dataloader.dataset.bbox_file), photos=root / 'train2017')
    files |= {split: Path(str(annotations).format(split)) for split in ('train', 'val')}
    for folder in (annotations.parent, files['boxes'].parent, files['photos'], root / 'val2017'):
        folder.mkdir(parents=True)
    for image in content['images']:
        cv2.imwrite(str(files['photos'] / image['file_name']), np.full((48, 64, 3), 99, np.uint8))
        shutil.copy(files['photos'] / image['file_name'], root / 'val2017')
    for name in ('train', 'val', 'boxes'):
        files[name].write_text(json.dumps(boxes if name == 'boxes' else content))
    return SimpleNamespace(**files)


@pytest.fixture
def change(coco):
    """Changes both annotation files by a function of their content."""

    def change(changed):
        content = json.loads(coco.val.read_text())
        changed(content)
        for path in (coco.train, coco.val):
            path.write_text(json.dumps(content))

    return change
