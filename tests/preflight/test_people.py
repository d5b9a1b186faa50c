import copy
import json
import os
import re

import pytest

from ca_hrnet_plugin.preflight import check_config


def person_with(**fields):
    return lambda content: content['annotations'][0].update(fields)


def people_with(**fields):
    return lambda content: [person.update(fields) for person in content['annotations']]


@pytest.mark.parametrize(
    ('changed', 'problem'),
    [
        (person_with(area=1), 'annotation 501 of .* has an area of at most 1'),
        (person_with(area=-5), 'an area of at most 1'),
        (person_with(keypoints=[9, 9, -1] * 16 + [9, 9, 2]), 'a negative v'),
        (person_with(keypoints=[9, 9, 0] * 17), 'keypoints but no v over 0'),
        (person_with(bbox=[0.2, 0.2, 0.5, 0.7]), 'a box of less than a pixel'),
        (people_with(keypoints=[0.4, 0.6, 2] * 17), '501 of .* has all keypoints between 0 and 1.*and 3 more'),
        (person_with(keypoints=[0.4, 0.6, 2] * 17), '501 of .* has all keypoints between 0 and 1'),
        (person_with(area=0, bbox=[99, 99, 9, 9]), 'an area of at most 1'),
        (people_with(bbox=[20, 20, 50, 45]), 'extend beyond their image, as .left, top, right, bottom. would'),
        (
            people_with(bbox=[20, 22, 30, 25], keypoints=[9, 15, 2] * 12 + [30, 30, 2] * 5),
            'centre x, centre y',
        ),
        (people_with(keypoints=[9, 9, 2] * 8 + [90, 9, 2] * 9), 'most keypoints outside their image'),
    ],
)
def test_numbers_that_make_no_sense_are_a_problem(config, coco, change, changed, problem):
    change(changed)
    config.test_dataloader.dataset.bbox_file = None
    (line,) = check_config(config, 'test').problems
    assert re.search(problem, line)


@pytest.mark.parametrize('few', [dict(bbox=[20, 20, 50, 45]), dict(keypoints=[90, 9, 2] * 17)])
def test_a_person_at_the_edge_of_an_image_is_sound(config, coco, change, few):
    change(person_with(**few))
    assert check_config(config).problems == []


@pytest.mark.parametrize(
    ('box', 'problem'),
    [
        ([20, 20, 50, 45], 'extend beyond their image'),
        ([20, 20, -5, 9], 'negative width or height'),
        ([0.1, 0.1, 0.5, 0.5], 'smaller than a pixel'),
    ],
)
def test_boxes_of_detections_in_another_format_are_a_problem(config, coco, box, problem):
    detections = json.loads(coco.boxes.read_text())
    coco.boxes.write_text(json.dumps([detection | dict(bbox=box) for detection in detections]))
    (line,) = check_config(config, 'test').problems
    assert problem in line and str(coco.boxes) in line


def test_areas_are_checked_however_the_evaluator_spells_the_file(config, coco, change):
    change(person_with(area=0))
    config.test_evaluator.ann_file = os.path.relpath(coco.val)
    (line,) = check_config(config, 'test').problems
    assert 'an area of at most 1' in line
    config.test_evaluator = dict(
        type='KeypointPartitionMetric', metric=dict(type='CocoMetric'), partitions=dict(all=list(range(17)))
    )
    assert check_config(config, 'test').problems == [line], 'it takes the people from the data set'


def test_posetrack_s_evaluation_needs_no_area(config, coco, change):
    """It measures distances to heads."""
    change(lambda content: [person.pop('area') for person in content['annotations']])
    assert len(check_config(config, 'test').problems) == 1
    config.test_evaluator.type = 'PoseTrack18Metric'
    assert check_config(config, 'test').problems == []


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
    assert 'metainfo of test_dataloader has 4 sigmas for 5 keypoints' in line
    (line,) = problems(metainfo | dict(sigmas=[]))
    assert '0 sigmas for 5 keypoints' in line, 'the evaluator needs them'
    (line,) = problems(metainfo | dict(sigmas=None))
    assert '1 sigmas for 5 keypoints' in line
    assert problems(metainfo | dict(joint_weights=[])) == []
    (line,) = problems(metainfo | dict(joint_weights=[1.0] * 6))
    assert '6 joint_weights for 5 keypoints' in line
    (line,) = problems(metainfo | dict(sigmas=[0.05] * 4 + [0]))
    assert 'a sigma of 0' in line
    (line,) = problems(metainfo | dict(sigmas=[2.5] * 5))
    assert 'a sigma of 2.5' in line, 'in percent'
    for keys in ((1, 2, 3, 4, 5), (1, 0, 2, 3, 4), '01234'):
        keypoints = dict(zip(keys, metainfo['keypoint_info'].values(), strict=True))
        (line,) = problems(metainfo | dict(keypoint_info=keypoints))
        assert f'metainfo of test_dataloader has keypoint_info of keys {[*keys]}' in line
    unswapped = copy.deepcopy(metainfo)
    for keypoint in unswapped['keypoint_info'].values():
        keypoint['swap'] = ''
    (line,) = problems(unswapped)
    assert 'no swap for left_hand and right_hand' in line
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
    assert 'lists 4 keypoints, and metainfo of test_dataloader has 5' in line


def test_a_converter_gives_the_head_its_number_of_keypoints(config, coco):
    converter = dict(type='KeypointConverter', num_keypoints=5, mapping=[(0, 0)])
    config.train_dataloader.dataset.pipeline = [*config.train_dataloader.dataset.pipeline, converter]
    (line,) = check_config(config).problems
    assert 'out_channels=17, and KeypointConverter of train_dataloader gives 5 keypoints' in line
    converter['num_keypoints'] = 17
    config.train_dataloader.dataset.pipeline[-1] = converter
    assert check_config(config).problems == []


@pytest.mark.parametrize(
    ('model', 'head', 'name'),
    [('TopdownPoseEstimator', 'RLEHead', 'num_joints'), ('BottomupPoseEstimator', 'CIDHead', 'num_keypoints')],
)
def test_a_head_has_as_many_keypoints_as_the_data(config, coco, model, head, name):
    config.model.update(type=model, head={'type': head, name: 21})
    assert f'model.head.{name}=21, and train_dataloader has 17 keypoints' in check_config(config).problems[0]
    config.model.head[name] = 17
    assert check_config(config).problems == []


def test_networks_that_choose_keypoints_or_add_offsets_are_sound(config, coco):
    for head, test_cfg in ((51, {}), (19, dict(output_keypoint_indices=list(range(17))))):
        config.model.head.out_channels = head
        config.model.test_cfg.update(test_cfg)
        assert check_config(config).problems == []


def test_a_category_that_nobody_has_may_have_other_keypoints(config, coco, change):
    change(lambda content: content['categories'].append(dict(id=2, name='dog', keypoints=['nose', 'tail'])))
    assert check_config(config).problems == []
