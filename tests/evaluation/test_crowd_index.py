import json

import pytest

from ca_hrnet_plugin.evaluation import crowd_index


def person(joints, bbox, **more):
    """An annotation with the given labelled joints (x, y), and one that is not labelled."""
    keypoints = [value for x, y in joints for value in (x, y, 2)]
    return dict(image_id=1, keypoints=[*keypoints, 0, 0, 0], bbox=bbox, iscrowd=0, **more)


def test_it_is_the_mean_of_others_joints_in_the_box_per_own_joint():
    # The left person's box contains 3 of the right one's 6 joints, and the right one's box none of the left one's 6.
    left = person([(x, 5) for x in range(6)], [0, 0, 12, 10])
    right = person([(x, 5) for x in (10, 11, 12, 13, 14, 15)], [10, 0, 10, 10])
    assert crowd_index([left, right]) == pytest.approx((3 / 6 + 0 / 6) / 2)


def test_joints_on_every_edge_of_the_box_are_inside():
    corners = [(0, 0), (10, 0), (0, 10), (10, 10)]
    outside = [(-0.01, 5), (5, 10.01)]
    inner = person([(x, 5) for x in range(2, 9)], [0, 0, 10, 10])
    outer = person(corners + outside, [100, 100, 10, 10])
    assert crowd_index([inner, outer]) == pytest.approx((4 / 7 + 0) / 2)


@pytest.mark.parametrize('num_labelled', [5, 6])
def test_people_with_five_labelled_joints_are_others_but_not_in_the_mean(num_labelled):
    people = [person([(x, 5) for x in range(8)], [0, 0, 10, 10]) for _ in range(2)]
    other = person([(x, 5) for x in range(num_labelled)], [100, 0, 10, 10])

    ratios = [(8 + num_labelled) / 8] * 2 + [0] * (num_labelled > 5)
    assert crowd_index([*people, other]) == pytest.approx(sum(ratios) / len(ratios))


def test_crowd_regions_are_ignored():
    people = [person([(x, 5) for x in range(8)], [0, 0, 10, 10]) for _ in range(2)]
    assert crowd_index([*people, people[0] | dict(iscrowd=1)]) == crowd_index(people) == 1


@pytest.mark.parametrize('annotations', [[], [dict(bbox=[0, 0, 1, 1], iscrowd=0)]])
def test_without_labelled_people_it_is_zero(annotations):
    assert crowd_index(annotations) == 0.0


def test_annotations_of_two_images_are_refused_by_name():
    people = [person([(0, 0)] * 6, [0, 0, 1, 1]), dict(person([(0, 0)] * 6, [0, 0, 1, 1]), image_id=7)]
    with pytest.raises(ValueError, match=r'images \[1, 7\]'):
        crowd_index(people)


def test_crowdpose_publishes_the_same_values(slice_of):
    dataset = json.loads(slice_of('crowdpose', 'annotations', 'test_crowdpose.json').read_text())
    for image in dataset['images']:
        annotations = [ann for ann in dataset['annotations'] if ann['image_id'] == image['id']]
        assert round(crowd_index(annotations), 2) == image['crowdIndex']
