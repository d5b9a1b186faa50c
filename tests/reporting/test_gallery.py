import itertools
import json
from pathlib import Path

import cv2
import matplotlib.collections
import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from ca_hrnet_plugin.evaluation import crowd_index
from ca_hrnet_plugin.reporting.gallery import _joint_colours, _legend, draw_gallery
from ca_hrnet_plugin.reporting.protocol import read_protocol


@pytest.fixture
def image_dir(two_networks, tmp_path):
    """The images of the annotation file, each of a shade of its own."""
    dataset = json.loads((tmp_path / 'annotations.json').read_text())
    for image in dataset['images']:
        image['file_name'] = f'{image["id"]}.png'
        cv2.imwrite(str(tmp_path / image['file_name']), np.full((480, 640, 3), image['id'], dtype=np.uint8))
    (tmp_path / 'annotations.json').write_text(json.dumps(dataset))
    return tmp_path


@pytest.fixture
def draw(two_networks, image_dir):
    ann_file, base, better = two_networks

    def draw(**kwargs):
        protocol = read_protocol(ann_file=ann_file, image_dir=image_dir)
        return draw_gallery(protocol, {'HRNet': base, 'CA-HRNet': better}, **kwargs)

    return draw


def annotations_of(image_dir, image_id):
    dataset = json.loads((image_dir / 'annotations.json').read_text())
    return [one for one in dataset['annotations'] if one['image_id'] == image_id]


def shown_images(figure):
    return [int(axes.images[0].get_array()[0, 0, 0]) for axes in figure.axes[::3]]


def dots(axes):
    """The joints drawn, (N, 2), and whether each is hollow."""
    scatters = [part for part in axes.collections if isinstance(part, matplotlib.collections.PathCollection)]
    hollow = [np.full(len(part.get_offsets()), (part.get_facecolor() == 1).all()) for part in scatters]
    return np.concatenate([part.get_offsets() for part in scatters]), np.concatenate(hollow)


def test_the_most_crowded_images_are_drawn_most_crowded_first(draw, image_dir):
    crowding = {image_id: crowd_index(annotations_of(image_dir, image_id)) for image_id in range(1, 41)}
    figure = draw(num_images=3)
    assert [crowding[image_id] for image_id in shown_images(figure)] == sorted(crowding.values())[:-4:-1]
    assert [axes.get_title() for axes in figure.axes[:3]] == ['Ground truth', 'HRNet', 'CA-HRNet']
    assert f'crowd index {max(crowding.values()):.2f}' in figure.axes[0].get_ylabel()
    assert shown_images(draw(image_ids=[7, 3])) == [7, 3], 'chosen ones in the order given'


def test_hidden_joints_of_the_ground_truth_are_hollow(draw, image_dir):
    figure = draw(image_ids=[5])
    joints = np.reshape([one['keypoints'] for one in annotations_of(image_dir, 5)], (-1, 3))
    drawn, hollow = dots(figure.axes[0])
    for v, is_hollow in ((1, True), (2, False)):
        expected = joints[joints[:, 2] == v, :2]
        assert len(expected)
        assert sorted(map(tuple, drawn[hollow == is_hollow])) == sorted(map(tuple, expected))


def test_joints_and_people_under_their_thresholds_are_not_drawn(draw, two_networks):
    figure = draw(image_ids=[5], kpt_thr=0.6, score_thr=0.5)
    people = [one for one in json.loads(Path(two_networks[1]).read_text()) if one['image_id'] == 5]
    joints = np.concatenate([np.reshape(one['keypoints'], (-1, 3)) for one in people if one['score'] >= 0.5])
    drawn, hollow = dots(figure.axes[1])
    assert 0 < len(drawn) < 17 * len(people)
    assert sorted(map(tuple, drawn)) == sorted(map(tuple, joints[joints[:, 2] >= 0.6, :2]))
    assert not hollow.any()


def test_each_person_found_has_its_oks_on_the_picture(draw, two_networks, image_dir):
    sigmas = np.array(parse_pose_metainfo(dict(from_file='configs/_base_/datasets/coco.py'))['sigmas'])
    found = [one for one in json.loads(Path(two_networks[1]).read_text()) if one['image_id'] == 5]
    oks = []
    for person in annotations_of(image_dir, 5):
        x, y, v = np.reshape(person['keypoints'], (-1, 3)).T
        for one in found:
            distance = (x - one['keypoints'][::3]) ** 2 + (y - one['keypoints'][1::3]) ** 2
            oks.append(np.exp(-distance / (2 * (2 * sigmas) ** 2 * person['area']))[v > 0].mean())
    oks = np.reshape(oks, (-1, len(found)))
    people = range(len(oks))
    best = max(itertools.permutations(range(len(found)), len(oks)), key=lambda order: oks[people, order].sum())
    ground_truth, network, _ = draw(image_ids=[5], score_thr=0).axes[:3]
    assert not ground_truth.texts
    assert sorted(text.get_text() for text in network.texts) == sorted(f'{value:.2f}' for value in oks[people, best])


@pytest.mark.parametrize('data_set', ['coco', 'crowdpose'])
def test_the_legend_tells_left_from_right_as_the_limbs_do(data_set):
    metainfo = parse_pose_metainfo(dict(from_file=f'configs/_base_/datasets/{data_set}.py'))
    colours = {handle.get_label(): tuple(handle.get_color()) for handle in _legend(metainfo)[:2]}
    joints = {name: tuple(_joint_colours(metainfo)[index]) for name, index in metainfo['keypoint_name2id'].items()}
    for side in ('left', 'right'):
        knee, ankle = (metainfo['keypoint_name2id'][f'{side}_{joint}'] for joint in ('knee', 'ankle'))
        (shin,) = [index for index, link in enumerate(metainfo['skeleton_links']) if set(link) == {knee, ankle}]
        shin_colour = tuple(np.array(metainfo['skeleton_link_colors'][shin]) / 255)
        assert colours[f'{side} limbs'] == shin_colour
        assert joints[f'{side}_wrist'] == joints[f'{side}_shoulder'] == shin_colour
    assert colours['left limbs'] != colours['right limbs']


def test_the_tool_writes_the_picture(tool, two_networks, image_dir):
    ann_file, base, _ = two_networks
    code, _, _ = tool(
        *('make_gallery', 'poses', f'HRNet={base}', '--ann-file', ann_file, '--img-dir', image_dir),
        *('--num', 2, '--out', image_dir / 'gallery.png'),
    )
    assert code == 0
    picture = cv2.imread(str(image_dir / 'gallery.png'))
    assert picture.shape[1] == 2100
    assert picture.std() > 0


def test_what_cannot_be_drawn_is_told_in_one_line(tool, two_networks, image_dir, write_json):
    ann_file, base, _ = two_networks
    other = write_json('other.json', [dict(image_id=99, category_id=1, keypoints=[0] * 51, score=1)])
    for arguments, complaint in (
        ((f'A={base}', '--ann-file', ann_file, '--img-dir', image_dir / 'nowhere'), 'is missing'),
        ((f'A={base}', '--ann-file', ann_file, '--img-dir', image_dir, '--images', 99), 'image 99 is not in'),
        ((f'A={other}', '--ann-file', ann_file, '--img-dir', image_dir), 'is of another data set'),
        ((f'A={base}', '--ann-file', base, '--img-dir', image_dir), 'give COCO annotations'),
        ((f'A={base}',), 'no annotations'),
    ):
        code, _, _ = tool('make_gallery', 'poses', *arguments)
        assert complaint in code
        assert '\n' not in code
