import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from random_people import make_annotations, make_detections

from ca_hrnet_plugin.reporting import read_protocol


@pytest.fixture(scope='session')
def two_networks(tmp_path_factory):
    """Annotations of random people, and the results of a worse and a better network. Each image has its own shade."""
    rng, folder = np.random.default_rng(3), tmp_path_factory.mktemp('networks')
    dataset = make_annotations(40, 3, rng)
    for image in dataset['images']:
        image['file_name'] = f'{image["id"]}.png'
        cv2.imwrite(str(folder / image['file_name']), np.full((480, 640, 3), image['id'], dtype=np.uint8))
    contents = {'annotations.json': dataset}
    for noise in (0.1, 0.06):
        contents[f'{noise}.keypoints.json'] = make_detections(dataset, noise, 1, rng)
    for name, content in contents.items():
        (folder / name).write_text(json.dumps(content))
    return [str(folder / name) for name in contents]


@pytest.fixture(scope='session')
def protocol(two_networks):
    return read_protocol(ann_file=two_networks[0], image_dir=Path(two_networks[0]).parent)


@pytest.fixture
def write_scalars(tmp_path):
    """Writes a run's scalars.json, with a line for each record, and returns its work dir."""

    def write(run: str, records: list[dict]) -> Path:
        path = tmp_path / run / 'vis_data/scalars.json'
        path.parent.mkdir(parents=True)
        path.write_text('\n'.join(map(json.dumps, records)))
        return path.parents[2]

    return write
