"""Runs the programs of README and docs/deploy.md unchanged."""

import copy
import json
import re
import shutil
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmpose.apis import inference_topdown
from mmpose.codecs import UDPHeatmap
from mmpose.models.data_preprocessors import PoseDataPreprocessor

from ca_hrnet_plugin.deploy import export_onnx

DOCUMENTS = [Path(__file__).parents[2] / name for name in ('README.md', 'docs/deploy.md')]


RTMLIB = 'rtmlib brings an OpenCV of its own: in the environment of make test alone'


def program(word: str) -> str:
    """The program that contains a word."""
    text = ''.join(document.read_text() for document in DOCUMENTS)
    (program,) = [code for code in re.findall(r'```python\n(.*?)```', text, re.DOTALL) if word in code]
    return program


@pytest.fixture(params=['noise', 'real'])
def people(request, tmp_path) -> list[tuple[str, list[float]]]:
    """The image and the box [left, top, width, height] of each person."""
    if request.param == 'noise':
        cv2.imwrite(str(tmp_path / 'noise.png'), np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8))
        return [(str(tmp_path / 'noise.png'), [7.3 * number, 11, 40 + 20 * number, 170]) for number in range(8)]
    folder = request.getfixturevalue('real_data') / 'coco'
    content = json.loads((folder / 'annotations/person_keypoints_train2017.json').read_text())
    files = {image['id']: str(folder / 'train2017' / image['file_name']) for image in content['images']}
    people = [person for person in content['annotations'] if person['num_keypoints']][:20]
    return [(files[person['image_id']], person['bbox']) for person in people]


@pytest.fixture
def model_of_other_colours(model):
    """A network whose normalisation is not rtmlib's default, neither in its values nor in the order of channels."""
    model = copy.deepcopy(model)
    model.test_cfg['flip_test'] = False
    model.data_preprocessor = PoseDataPreprocessor(mean=[110, 120, 130], std=[50, 60, 70], bgr_to_rgb=True)
    return model


def test_rtmlib_gives_the_keypoints_of_mmpose(model_of_other_colours, people, tmp_path, monkeypatch):
    rtmlib = pytest.importorskip('rtmlib', reason=RTMLIB)
    monkeypatch.chdir(tmp_path)
    model = model_of_other_colours
    export_onnx(model, 'ca_hrnet.onnx', (96, 128), input_form='rtmlib', simcc=True)
    boxes = []

    class Detector:
        """In the place of rtmlib's detectors, whose weights are downloads."""

        det_mode = 'human'

        def __init__(self, *args, det_mode, **kwargs):
            pass

        def __call__(self, image):
            return boxes

    monkeypatch.setattr(rtmlib, 'YOLOX', Detector)
    kinds = dict(det_class='YOLOX', pose_class='RTMPose', pose='ca_hrnet.onnx', pose_input_size=(96, 128))
    custom, tracker = rtmlib.Custom(**kinds), rtmlib.PoseTracker(partial(rtmlib.Custom, **kinds))
    names, differences = {}, []
    for file, (left, top, width, height) in people:
        box = [left, top, left + width, top + height]
        boxes[:] = [box]
        code = program('RTMPose(').replace('(192, 256)', '(96, 128)').replace('[[50, 20, 300, 480]]', f'[{box}]')
        exec(code.replace('people.jpg', file), names)
        (sample,) = inference_topdown(model, file, [box])
        pixels = max(width / 96, height / 128) * 1.25  # of the image per pixel of the crop
        tracker.reset()
        image = cv2.imread(file)
        for keypoints, scores in ((names['keypoints'], names['scores']), custom(image), tracker(image)):
            differences.append(np.abs(keypoints - sample.pred_instances.keypoints) / pixels)
            np.testing.assert_allclose(scores, sample.pred_instances.keypoint_scores, atol=1e-3)
    assert np.percentile(differences, 95) < 0.01


def test_people_of_many_images_are_printed(model, people, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    model.cfg.dump('config.py')
    torch.save(model.state_dict(), 'checkpoint.pth')
    for name in ('frame1.jpg', 'frame2.jpg'):
        shutil.copy(people[0][0], name)
    exec(program('predict_people'))
    assert capsys.readouterr().out.count('[[[') == 2


def test_rtmlib_decodes_udp_heatmaps_as_mmpose_does():
    rtmlib = pytest.importorskip('rtmlib', reason=RTMLIB)
    codec = UDPHeatmap(input_size=(192, 256), heatmap_size=(48, 64), sigma=2)
    places = np.random.default_rng(0).uniform((40, 40), (150, 210), (1, 17, 2)).astype(np.float32)
    heatmaps = codec.encode(places)['heatmaps']
    expected, scores = codec.decode(heatmaps.copy())
    crop = dict(center=np.array([96, 128]), scale=np.array([192, 256]))
    keypoints, keypoint_scores = rtmlib.ViTPose.postprocess(None, [heatmaps[None].copy()], **crop)
    np.testing.assert_allclose(keypoints, expected, atol=0.01)
    np.testing.assert_allclose(keypoint_scores, scores)
