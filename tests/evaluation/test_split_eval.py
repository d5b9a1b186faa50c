import json
import re
from pathlib import Path

import numpy as np
import pytest
from coco_stats import coco_stats
from random_people import make_annotations, make_detections
from xtcocotools.coco import COCO

from ca_hrnet_plugin.evaluation import crowd_index, evaluate_results, level_splits, split_eval

ONE_LEVEL = level_splits(dict(all=0), dict(all=0), dict(all=0))


def instance(left, v=2, num_labelled=17, image_id=1, **more):
    """A person of 100x100 pixels at x=``left``, joints in two rows, the first ``num_labelled`` of them with v=``v``."""
    keypoints = np.array([(left + 5 * joint, 20 + 50 * (joint % 2), v) for joint in range(17)])
    keypoints[num_labelled:] = 0
    return dict(
        image_id=image_id,
        category_id=1,
        bbox=[left, 0, 100, 100],
        area=6000,
        keypoints=keypoints.ravel().tolist(),
        num_keypoints=num_labelled,
        iscrowd=0,
        **more,
    )


def detection(person, score, num_right=17):
    """A detection with the first ``num_right`` joints in place and the others far off: its OKS is num_right / 17."""
    keypoints = np.reshape(person['keypoints'], (17, 3)).copy()
    keypoints[num_right:, :2] += 10_000
    keypoints[:, 2] = 1
    return dict(image_id=person['image_id'], category_id=1, keypoints=keypoints.ravel().tolist(), score=score)


@pytest.fixture
def evaluate(write_json):
    def evaluate(people, detections, **kwargs):
        dataset = dict(
            images=[dict(id=image_id, width=5000, height=200) for image_id in (1, 2)],
            annotations=[dict(person, id=index + 1) for index, person in enumerate(people)],
            categories=[dict(id=1, name='person')],
        )
        return evaluate_results(write_json('gt.json', dataset), detections, **kwargs).figures()

    return evaluate


@pytest.fixture
def scene(write_json):
    """An annotation file and detections: crowd regions, unlabelled people and background among them."""
    rng = np.random.default_rng(4)
    dataset = make_annotations(100, 4, rng)
    return write_json('gt.json', dataset), make_detections(dataset, 0.08, 1, rng)


def test_the_ten_numbers_are_those_of_coco_eval(scene):
    figures = evaluate_results(*scene).figures()
    assert list(figures.values())[:10] == pytest.approx(coco_stats(*scene), abs=1e-12)


def test_the_numbers_on_real_annotations_are_those_of_coco_eval(slice_of):
    ann_file = str(slice_of('coco', 'annotations', 'person_keypoints_train2017.json'))
    results = make_detections(json.loads(Path(ann_file).read_text()), 0.08, 1, np.random.default_rng(3))
    figures = evaluate_results(ann_file, results).figures()
    assert list(figures.values())[:10] == pytest.approx(coco_stats(ann_file, results), abs=1e-12)


def test_a_crowd_level_is_coco_eval_on_the_images_of_the_level(scene):
    evaluation = evaluate_results(*scene)
    coco = COCO(scene[0])
    for name, low, high in (('easy', 0, 0.1), ('medium', 0.1, 0.8), ('hard', 0.8, np.inf)):
        image_ids = [image_id for image_id in coco.imgs if low <= crowd_index(coco.imgToAnns[image_id]) < high]
        assert 0 < len(image_ids) < 100
        stats = coco_stats(*scene, image_ids=image_ids)
        assert evaluation.figures()[f'AP (crowd {name})'] == pytest.approx(stats[0], abs=1e-12)
        assert evaluation.figures()[f'AR (crowd {name})'] == pytest.approx(stats[5], abs=1e-12)


def test_people_out_of_a_level_are_ignored_however_badly_they_are_found(evaluate):
    visible, hidden = instance(0, v=2), instance(1000, v=1)
    # OKS 12/17 = 0.706 passes 0.5 to 0.7: 5 of 10 thresholds.
    figures = evaluate([visible, hidden], [detection(visible, 0.8), detection(hidden, 0.9, num_right=12)])
    assert figures['AP (hidden low)'] == pytest.approx(1)
    assert figures['AR (hidden low)'] == 1
    assert figures['AP (hidden high)'] == pytest.approx(0.5)
    assert figures['AR (hidden high)'] == pytest.approx(0.5)
    # Both people together: at 5 thresholds both are right; at the others the first is wrong and the second right.
    assert figures['AP'] == pytest.approx((5 * 1 + 5 * 0.5 * 51 / 101) / 10)


def test_a_detection_of_nobody_is_wrong_in_the_crowd_level_of_its_image(evaluate):
    alone, pair = instance(0), [instance(0, image_id=2), instance(10, image_id=2)]
    detections = [detection(person, 0.8) for person in (alone, *pair)]
    nobody = detection(instance(3000, image_id=2), 0.9)
    figures = evaluate([alone, *pair], [*detections, nobody])
    assert figures['AP (crowd easy)'] == pytest.approx(1)
    # Each person stands among all joints of the other person: the crowd index is 1 or a little below.
    assert figures['AP (crowd hard)'] == pytest.approx(2 / 3)
    assert (figures['instances (crowd easy)'], figures['instances (crowd hard)']) == (1, 2)


def test_overlap_is_the_highest_box_iou_with_another_person(evaluate):
    # IoU is 50/150 for the first two, and 98/102 for the last two, but the very last is a crowd region.
    people = [instance(0), instance(50), instance(1000), dict(instance(1002), iscrowd=1)]
    edges = dict(alone=0, third=0.33, more=0.34)
    figures = evaluate(people, [detection(people[0], 0.9)], splits=level_splits(overlap_levels=edges))
    assert [figures[f'instances (overlap {name})'] for name in edges] == [1, 2, 0]
    assert figures['AR (overlap third)'] == 1 / 2


def test_a_level_without_instances_is_minus_one_and_counts_zero(evaluate):
    person = instance(0)
    figures = evaluate([person], [detection(person, 0.9)])
    assert figures['AP (crowd hard)'] == figures['AR (hidden high)'] == figures['AP (overlap medium)'] == -1
    assert figures['instances (crowd hard)'] == figures['instances (hidden high)'] == 0


def test_a_value_on_an_edge_is_in_the_upper_level(evaluate):
    half_hidden = instance(0, num_labelled=16)
    half_hidden['keypoints'][2::6] = [1] * 8 + [0]
    people = [half_hidden, instance(1000, num_labelled=0), dict(instance(2000), iscrowd=1)]
    figures = evaluate(people, [detection(half_hidden, 0.9)], splits=[*level_splits(), *ONE_LEVEL])
    assert figures['instances (hidden high)'] == 1
    assert [figures[f'instances ({measure} all)'] for measure in ('crowd', 'hidden', 'overlap')] == [1, 1, 1]


def test_people_of_fourteen_keypoints_without_area_are_evaluated(evaluate):
    person = instance(0)
    person = dict(person, keypoints=person['keypoints'][: 14 * 3])
    del person['area']
    detections = [dict(detection(instance(0), np.float32(0.9)), keypoints=person['keypoints'])]  # a score of NumPy's
    figures = evaluate([person], detections, sigmas=[0.05] * 14, use_area=False)
    assert figures['AP'] == pytest.approx(1)
    assert figures['AP (crowd easy)'] == pytest.approx(1)


@pytest.mark.parametrize('edges', [dict(low=0.2, high=0.1), dict(low=0.1, high=0.1)])
def test_edges_that_do_not_ascend_are_refused(edges):
    with pytest.raises(ValueError, match='overlap_levels='):
        level_splits(overlap_levels=edges)


def test_results_of_another_category_are_refused(write_json):
    dataset = make_annotations(3, 2, np.random.default_rng(0))
    detections = make_detections(dataset, 0.1, 1, np.random.default_rng(0))
    for detection in detections:
        detection['category_id'] = 7
    with pytest.raises(ValueError, match=r'the results have category 7, and .*gt\.json\) have category 1'):
        evaluate_results(write_json('gt.json', dataset), detections)


def test_a_category_without_results_is_named(write_json, monkeypatch):
    """COCOeval averages over categories, so that it halves AP."""
    logged, rng = [], np.random.default_rng(0)
    monkeypatch.setattr(split_eval, 'print_log', lambda line, *_: logged.append(line))
    dataset = make_annotations(3, 2, rng)
    dataset['categories'].append(dict(id=2, name='rider'))
    detections = make_detections(dataset, 0, 1, rng)
    figures = evaluate_results(write_json('gt.json', dataset), detections).figures()
    assert logged == [], 'nobody has it'
    stray = [dict(detection, category_id=2, score=2) for detection in detections]
    assert evaluate_results(write_json('gt.json', dataset), detections + stray).figures() == figures
    assert re.match('results of category 2 do not count', logged.pop())
    dataset['annotations'][0]['category_id'] = 2
    assert evaluate_results(write_json('gt.json', dataset), detections).figures()['AP'] <= 0.5
    assert re.match(r'no result has category 2, which people of .*gt\.json have', logged[0])


@pytest.mark.parametrize(('num_joints', 'are_left_out'), [([5, 5, 5], True), ([5, 5, 6], True), ([5, 6, 6], False)])
def test_crowd_levels_are_left_out_where_most_people_have_few_joints(evaluate, num_joints, are_left_out):
    people = [instance(200 * index, num_labelled=number) for index, number in enumerate(num_joints)]
    figures = evaluate(people, [detection(people[0], 1)])
    assert are_left_out == (not [name for name in figures if 'crowd' in name])
    assert [name for name in figures if 'overlap' in name]
