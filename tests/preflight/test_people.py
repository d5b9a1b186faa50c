import copy
import re

import pytest

from ca_hrnet_plugin.preflight import check_config


def person_with(**fields):
    return lambda content: content['annotations'][0].update(fields)


def in_unit_square(content):
    for person in content['annotations']:
        person['keypoints'] = [0.4, 0.6, 2] * 17


@pytest.mark.parametrize(
    ('changed', 'problem'),
    [
        (person_with(area=1), 'annotation 501 of .* has an area of at most 1'),
        (person_with(area=-5), 'an area of at most 1'),
        (person_with(keypoints=[9, 9, -1] * 16 + [9, 9, 2]), 'a negative v'),
        (person_with(keypoints=[9, 9, 0] * 17), 'keypoints but no v over 0'),
        (person_with(bbox=[0.2, 0.2, 0.5, 0.7]), 'a box of less than a pixel'),
        (in_unit_square, 'all keypoints between 0 and 1'),
    ],
)
def test_numbers_that_make_no_sense_are_a_problem(config, coco, change, changed, problem):
    change(changed)
    config.test_dataloader.dataset.bbox_file = None
    (line,) = check_config(config, 'test').problems
    assert re.search(problem, line)


@pytest.fixture
def metainfo(config):
    """Five keypoints of the config's own, for training."""
    names = ('head', 'left_hand', 'right_hand', 'left_foot', 'right_foot')
    swaps = ('', 'right_hand', 'left_hand', 'right_foot', 'left_foot')
    info = dict(dataset_name='five', skeleton_info={}, joint_weights=[1.0] * 5, sigmas=[0.05] * 5, keypoint_info={})
    for index, (name, swap) in enumerate(zip(names, swaps, strict=True)):
        info['keypoint_info'][index] = dict(name=name, id=index, color=[0, 0, 0], type='', swap=swap)
    return info


def test_a_description_of_keypoints_that_does_not_add_up_is_a_problem(config, coco, change, metainfo):
    def five(content):
        for person in content['annotations']:
            person.update(keypoints=[9, 9, 1] * 5, num_keypoints=5)
        content['categories'][0]['keypoints'] = names

    def problems(metainfo, out_channels=5):
        changed = copy.deepcopy(config)
        changed.test_dataloader.dataset.update(metainfo=metainfo, bbox_file=None)
        changed.model.head.out_channels = out_channels
        return check_config(changed, 'test').problems

    names = [keypoint['name'] for keypoint in metainfo['keypoint_info'].values()]
    change(five)
    assert problems(metainfo) == []
    (line,) = problems(metainfo, out_channels=17)
    assert 'out_channels=17' in line and '5 keypoints' in line
    (line,) = problems(metainfo | dict(sigmas=[0.05] * 4))
    assert '4 sigmas for 5 keypoints' in line
    (line,) = problems(metainfo | dict(joint_weights=[1.0] * 6))
    assert '6 joint_weights for 5 keypoints' in line
    one_sided = copy.deepcopy(metainfo)
    one_sided['keypoint_info'][2]['swap'] = ''
    (line,) = problems(one_sided)
    assert 'from left_hand to right_hand and not back' in line
    names[:] = [name.replace('_', ' ').title() for name in names]
    change(five)
    assert problems(metainfo) == [], 'spelt otherwise, in the same order'
    names.reverse()
    change(five)
    (line,) = problems(metainfo)
    assert 'keypoint 0 is Right Foot' in line and 'head in metainfo' in line
    names.pop()
    change(five)
    (line,) = problems(metainfo)
    assert 'lists 4 keypoints, and metainfo has 5' in line


def test_networks_that_choose_keypoints_or_add_offsets_are_sound(config, coco):
    for head, test_cfg in ((51, {}), (19, dict(output_keypoint_indices=list(range(17))))):
        config.model.head.out_channels = head
        config.model.test_cfg.update(test_cfg)
        assert check_config(config).problems == []


def test_a_category_that_nobody_has_may_have_other_keypoints(config, coco, change):
    change(lambda content: content['categories'].append(dict(id=2, name='dog', keypoints=['nose', 'tail'])))
    assert check_config(config).problems == []
