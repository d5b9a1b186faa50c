import functools
import itertools
import json
from pathlib import Path

import cv2
import matplotlib.collections
import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from ca_hrnet_plugin.evaluation import crowd_index
from ca_hrnet_plugin.reporting import draw_gallery


@pytest.fixture
def draw(two_networks, protocol):
    return functools.partial(draw_gallery, protocol, {'HRNet': two_networks[1], 'CA-HRNet': two_networks[2]})


@pytest.fixture
def image_5(two_networks):
    """The annotations of an image, and the detections of a network in it."""
    dataset, detections = (json.loads(Path(file).read_text()) for file in two_networks[:2])
    people = [annotation for annotation in dataset['annotations'] if annotation['image_id'] == 5]
    return people, [detection for detection in detections if detection['image_id'] == 5]


def shown_images(figure):
    return [int(axes.images[0].get_array()[0, 0, 0]) for axes in figure.axes[::3]]


def dots(axes):
    """The joints drawn, (N, 2), and whether each is hollow."""
    scatters = [part for part in axes.collections if isinstance(part, matplotlib.collections.PathCollection)]
    hollow = [np.full(len(part.get_offsets()), (part.get_facecolor() == 1).all()) for part in scatters]
    return np.concatenate([part.get_offsets() for part in scatters]), np.concatenate(hollow)


def test_the_most_crowded_images_are_drawn_most_crowded_first(draw, two_networks):
    people = {image_id: [] for image_id in range(1, 41)}
    for annotation in json.loads(Path(two_networks[0]).read_text())['annotations']:
        people[annotation['image_id']].append(annotation)
    crowding = {image_id: crowd_index(annotations) for image_id, annotations in people.items()}
    figure = draw(num_images=2)
    assert [crowding[image_id] for image_id in shown_images(figure)] == sorted(crowding.values())[:-3:-1]
    assert [axes.get_title() for axes in figure.axes[:3]] == ['Ground truth', 'HRNet', 'CA-HRNet']
    assert f'crowd index {max(crowding.values()):.2f}' in figure.axes[0].get_ylabel()
    assert shown_images(draw(image_ids=[7, 3])) == [7, 3], 'chosen ones in the order given'


def test_hidden_joints_are_hollow_and_low_scores_are_not_drawn(draw, image_5):
    people, detections = image_5
    ground_truth, network, _ = draw(image_ids=[5], kpt_thr=0.6, score_thr=0.5).axes[:3]
    joints = np.reshape([person['keypoints'] for person in people], (-1, 3))
    drawn, hollow = dots(ground_truth)
    for v, is_hollow in ((1, True), (2, False)):
        expected = joints[joints[:, 2] == v, :2]
        assert len(expected)
        assert sorted(map(tuple, drawn[hollow == is_hollow])) == sorted(map(tuple, expected))

    surer = [np.reshape(detection['keypoints'], (-1, 3)) for detection in detections if detection['score'] >= 0.5]
    joints = np.concatenate(surer)
    drawn, hollow = dots(network)
    assert 0 < len(drawn) < 17 * len(surer) < 17 * len(detections)
    assert sorted(map(tuple, drawn)) == sorted(map(tuple, joints[joints[:, 2] >= 0.6, :2]))
    assert not hollow.any()


def test_each_detected_person_has_its_oks_on_the_picture(draw, image_5):
    people, detections = image_5
    sigmas = np.array(parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))['sigmas'])
    oks = np.zeros((len(people), len(detections)))
    for row, person in enumerate(people):
        x, y, v = np.reshape(person['keypoints'], (-1, 3)).T
        for column, detection in enumerate(detections):
            distance = (x - detection['keypoints'][::3]) ** 2 + (y - detection['keypoints'][1::3]) ** 2
            oks[row, column] = np.exp(-distance / (2 * (2 * sigmas) ** 2 * person['area']))[v > 0].mean()
    rows = range(len(people))
    best = max(itertools.permutations(range(len(detections)), len(people)), key=lambda order: oks[rows, order].sum())
    ground_truth, network, _ = draw(image_ids=[5], score_thr=0).axes[:3]
    assert not ground_truth.texts
    assert sorted(text.get_text() for text in network.texts) == sorted(f'{value:.2f}' for value in oks[rows, best])


def test_a_category_that_nobody_has_changes_no_oks(draw, two_networks):
    """Roboflow exports one before that of the people."""

    def texts() -> list[str]:
        return [text.get_text() for text in draw(image_ids=[5], score_thr=0).axes[1].texts]

    expected = texts()
    content = json.loads(Path(two_networks[0]).read_text())
    content['categories'].insert(0, dict(id=0, name='people'))
    Path(two_networks[0]).write_text(json.dumps(content))
    assert texts() == expected != []


def test_rows_have_no_crowd_index_where_it_does_not_apply(two_networks, protocol, write_json):
    content = json.loads(Path(two_networks[0]).read_text())
    for person in content['annotations']:
        person['keypoints'][15:] = [0] * 36  # five labelled joints are left
    five_joints = protocol._replace(ann_file=write_json('five_joints.json', content))
    figure = draw_gallery(five_joints, {'HRNet': two_networks[1]}, num_images=2)
    assert [axes.get_ylabel() for axes in figure.axes[::2]] == ['image 1', 'image 2']


@pytest.mark.parametrize('content', [b'', b'no picture'])
def test_an_image_that_cannot_be_decoded_is_named(draw, protocol, content):
    file = Path(protocol.image_dir) / '9.png'
    whole = file.read_bytes()
    try:
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r'image 9 cannot be decoded: give .*9\.png'):
            draw(image_ids=[9])
    finally:
        file.write_bytes(whole)


def test_the_command_writes_the_picture_or_names_the_problem(tool, two_networks, protocol, tmp_path, write_json):
    annotations, network, out = ('--ann-file', two_networks[0]), f'A={two_networks[1]}', tmp_path / 'gallery.png'
    images = '--img-dir', protocol.image_dir
    assert tool('make_gallery', 'poses', network, *annotations, *images, '--num', 1, '--out', out)[0] == 0
    picture = cv2.imread(str(out))
    assert picture.shape[1] == 2100
    assert picture.std() > 0

    other = write_json('other.json', [dict(image_id=99, category_id=1, keypoints=[0] * 51, score=1)])
    for arguments, problem in (
        ((network, *annotations, '--img-dir', 'nowhere'), 'is missing'),
        ((network, *annotations, '--images', 99), 'image 99 is not in'),
        ((f'A={other}', *annotations), 'is of another data set'),
        ((network,), 'no annotations'),
    ):
        code, _, _ = tool('make_gallery', 'poses', *arguments)
        assert problem in code
        assert '\n' not in code
