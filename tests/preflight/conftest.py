import copy
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from small_coco import ANNOTATIONS, DETECTIONS, write

from ca_hrnet_plugin import config_path


@pytest.fixture(scope='session')
def whole_config(tmp_path_factory):
    """Read once, for it takes longer than most of what is tested here."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv('CA_HRNET_DATA', str(tmp_path_factory.mktemp('data')))
        return Config.fromfile(config_path('ca_hrnet_w16_coco_128x96'))


@pytest.fixture
def config(whole_config):
    """The smallest config of the plugin, from scratch."""
    return copy.deepcopy(whole_config)


@pytest.fixture
def coco(config):
    """The config's data: two images of 64x48, two people in each, and the person boxes of val2017."""
    folder = Path(config.data_root)
    shutil.rmtree(folder, ignore_errors=True)
    person = dict(category_id=1, bbox=[5, 5, 30, 35], area=700, keypoints=[1] * 51, num_keypoints=17, iscrowd=0)
    content = dict(
        images=[dict(id=image_id, file_name=f'{image_id}.png', width=64, height=48) for image_id in (31, 32)],
        annotations=[dict(person, id=501 + index, image_id=31 + index // 2) for index in range(4)],
        categories=[dict(id=1, name='person')],
    )
    for split in ('train', 'val'):
        (folder / f'{split}2017').mkdir(parents=True)
        for image in content['images']:
            cv2.imwrite(str(folder / f'{split}2017' / image['file_name']), np.full((48, 64, 3), 99, np.uint8))
        write(folder / ANNOTATIONS.format(split), content)
    boxes = [dict(image_id=image_id, category_id=1, bbox=[5, 5, 30, 35], score=0.9) for image_id in (31, 32)]
    write(folder / DETECTIONS, boxes)
    return folder


@pytest.fixture
def change(coco):
    """Changes both annotation files by a function of their content."""

    def change(changed):
        for split in ('train', 'val'):
            path = coco / ANNOTATIONS.format(split)
            content = json.loads(path.read_text())
            changed(content)
            write(path, content)

    return change
