import json
import math

import pytest

from ca_hrnet_plugin.evaluation.coco_files import InvalidFileError, read_annotations, read_detections

NAN = math.nan
PERSON = dict(id=5, image_id=3, category_id=1, bbox=[5, 5, 30, 35], area=700.5, keypoints=[1] * 51, iscrowd=0)
POSE = dict(image_id=3, category_id=1, keypoints=[1] * 51, score=0.9)


def content(person=(), image=(), **lists):
    images = [dict(id=3, file_name='a/ü 3.png', width=64, height=48), dict(id=4, file_name='4', width=1, height=1)]
    images[0] |= dict(image)
    people = [PERSON | dict(person), PERSON | dict(id=6), PERSON | dict(id=7)]
    return dict(images=images, annotations=people, categories=[dict(id=1)]) | lists


@pytest.fixture
def problems(tmp_path):
    """Writes annotations or a result, and returns the problems of reading it, which call the file FILE."""

    def read(written, is_result=False, num_keypoints=17):
        file = tmp_path / 'file.json'
        file.write_bytes(written if isinstance(written, bytes) else json.dumps(written).encode())
        try:
            if is_result:
                read_detections(file, content(), 'the annotations', num_keypoints)
            else:
                needed = dict(of_images=['file_name', 'width'], of_annotations=['bbox', 'area', 'keypoints'])
                read_annotations(file, num_keypoints, **needed)
        except InvalidFileError as error:
            assert str(error) == error.problems[0]
            assert all(str(file) in line and 'give ' in line and '\n' not in line for line in error.problems)
            return [line.replace(str(file), 'FILE') for line in error.problems]
        return []

    return read


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (content(dict(bbox=[1, NAN, 2, 3])), 'annotation 5 of FILE has nan in bbox (should be a number'),
        (content(dict(bbox=[1, 2, 3])), 'annotation 5 of FILE has bbox [1, 2, 3] (should be 4 numbers)'),
        (content(dict(bbox=None)), 'annotation 5 of FILE has bbox None'),
        (content(dict(keypoints=[1] * 50 + [-math.inf])), 'annotation 5 of FILE has -inf in keypoints'),
        (content(dict(keypoints=[1] * 48)), 'annotation 5 of FILE has 16 keypoints (should be 17'),
        (content(dict(keypoints=[1] * 50 + [True])), 'annotation 5 of FILE has True in keypoints'),
        (content(dict(area=1e9 + 1)), 'annotation 5 of FILE has area 1000000001.0'),
        (content(dict(area=10**400)), 'annotation 5 of FILE has area 1000'),
        (content(dict(area='700')), "annotation 5 of FILE has area '700'"),
        (content(dict(num_keypoints=False)), 'annotation 5 of FILE has num_keypoints False'),
        (content(dict(iscrowd=1.0)), 'annotation 5 of FILE has iscrowd 1.0 (should be 0 or 1)'),
        (content(dict(iscrowd=2)), 'annotation 5 of FILE has iscrowd 2'),
        (content(dict(id=5.0)), 'annotation number 0 of FILE has id 5.0'),
        (content(dict(id=-1)), 'annotation -1 of FILE has id -1'),
        (content(dict(image_id=2**63)), 'annotation 5 of FILE has image_id 9223372036854775808'),
        (content(dict(category_id=True)), 'annotation 5 of FILE has category_id True'),
        (content(dict(id=6)), 'FILE: annotations has id 6 twice'),
        (content(image=dict(id=4)), 'FILE: images has id 4 twice'),
        (content(image=dict(width=0)), 'image 3 of FILE has width 0'),
        (content(image=dict(file_name='a\nb')), r"image 3 of FILE has file_name 'a\nb'"),
        (content(image=dict(file_name='a\ud800')), r"image 3 of FILE has file_name 'a\ud800'"),
        (content(annotations=[{'id': 5}]), 'annotation 5 of FILE has no image_id'),
        (content(annotations=[PERSON, 3]), 'annotation number 1 of FILE is 3'),
        (content(images={}), 'FILE has images {} (should be a list)'),
        (dict(images=[], annotations=[]), 'FILE has no categories'),
        ([1], 'FILE is [1]'),
    ],
)
def test_invalid_annotations_are_named_by_file_and_id(problems, changed, message):
    assert message in problems(changed)[0]


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (dict(image_id=99), 'its image 99 is not in the annotations'),
        (dict(keypoints=[NAN] * 51), 'detection number 1 of FILE has nan in keypoints'),
        (dict(bbox=[1] * 6), 'detection number 1 of FILE has bbox [1, 1, 1, 1, 1, 1] (should be 4'),
        (dict(score=None), 'detection number 1 of FILE has score None'),
    ],
)
def test_an_invalid_detection_is_named_by_its_number(problems, changed, message):
    assert message in problems([POSE, POSE | changed], is_result=True)[0]
    assert 'FILE is []' in problems([], is_result=True)[0]


def test_boxes_are_needed_for_all_detections_or_for_no_pose(problems):
    boxed = POSE | dict(bbox=[1, 2, 3, 4, 0.9])  # a score behind the box, as detectors write it
    assert problems([POSE, POSE], is_result=True) == problems([boxed, boxed], is_result=True) == []
    assert 'detection number 1 of FILE has no bbox' in problems([boxed, POSE], is_result=True)[0]
    assert problems([boxed], is_result=True, num_keypoints=None) == []
    assert 'detection number 0 of FILE has no bbox' in problems([POSE], is_result=True, num_keypoints=None)[0]


def test_each_kind_of_problem_is_one_line_that_counts_the_rest(problems):
    people = [PERSON | dict(id=index, area=NAN) for index in range(4)]
    people[1]['bbox'] = [1]
    people[2]['bbox'] = people[3]['bbox'] = [NAN] * 4
    del people[3]['keypoints']
    hint = 'give COCO annotations of 17 keypoints, in pixels'
    assert problems(content(annotations=people)) == [
        f'annotation 1 of FILE has bbox [1] (should be 4 numbers): {hint}',
        f'annotation 2 of FILE has nan in bbox (should be a number from -1e9 to 1e9) (and 1 more like it): {hint}',
        'annotation 0 of FILE has area nan (should be a number from -1e9 to 1e9) (and 3 more like it): '
        f'{hint}, or use_area=False for OKS',
        f'annotation 3 of FILE has no keypoints: {hint}',
    ]


@pytest.mark.parametrize(
    'data',
    [
        b'{"images": [',
        b'[' * 100_000,
        b'',
        b'[' + b'9' * 5000 + b']',
        b'\xef\xbb\xbf{}',
        '{}'.encode('utf-16'),
        b'"\xff"',
    ],
)
def test_data_that_is_not_json_is_refused(problems, data):
    for is_result in (False, True):
        (line,) = problems(data, is_result)
        assert 'FILE is not JSON' in line


def test_what_is_read_is_what_was_written_less_what_nobody_asked_for(tmp_path):
    file = tmp_path / 'file.json'
    file.write_text(json.dumps(content(dict(segmentation=[[NAN]], iscrowd=True), info='a dictionary', licenses=3)))
    assert read_annotations(file, 17) == content(dict(iscrowd=1))
    poses = [POSE | dict(caption='which xtcocotools would evaluate instead')]
    assert read_detections(poses, content(), file, 17) == [POSE]
    assert 'caption' in poses[0], "the caller's records stay"
