import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger
from random_people import make_annotations, make_detections

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.fixture(scope='session', autouse=True)
def logger():
    """Made before any test: a logger keeps the output stream that was there when it was made."""
    return MMLogger.get_current_instance()


@pytest.fixture
def tool(monkeypatch, capsys):
    """Runs a command of tools/ and returns its exit code or message, what it printed, and what it said beside."""
    monkeypatch.syspath_prepend(str(TOOLS))

    def run(name: str, *arguments) -> tuple[int | str, str, str]:
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        try:
            importlib.import_module(name).main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


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
