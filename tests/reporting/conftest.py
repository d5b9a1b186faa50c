import json
from pathlib import Path

import numpy as np
import pytest
from random_people import make_annotations, make_detections


@pytest.fixture
def two_networks(write_json):
    """An annotation file of random people, and the results of a better and a worse network on it."""
    rng = np.random.default_rng(3)
    dataset = make_annotations(40, 3, rng)
    results = [write_json(f'{noise}.keypoints.json', make_detections(dataset, noise, 1, rng)) for noise in (0.1, 0.06)]
    return write_json('annotations.json', dataset), *results


@pytest.fixture
def write_scalars(tmp_path):
    """Writes a run's scalars.json: a line for each record."""

    def write(run: str, records: list[dict]) -> Path:
        path = tmp_path / run / 'vis_data/scalars.json'
        path.parent.mkdir(parents=True)
        path.write_text('\n'.join(map(json.dumps, records)))
        return path.parents[2]

    return write
