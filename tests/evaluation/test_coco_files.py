import json
import math
import reprlib

import pytest

from ca_hrnet_plugin.evaluation.coco_files import InvalidFileError, read_annotations, read_detections

NAN = math.nan
PERSON = dict(id=5, image_id=3, category_id=1, bbox=[5, 5, 30, 35], area=700.5, keypoints=[1] * 51, iscrowd=0)
POSE = dict(image_id=3, category_id=1, keypoints=[1] * 51, score=0.9)
INVALID = dict(
    id=[5.0, '5', -1, 2**63],
    image_id=[None, True, 3.0],
    bbox=[None, '1234', [1, 2, 3], [1, 2, 3, 4, 5]],
    area=[NAN, -math.inf, 1e9 + 1, 10**400, '700', None, True],
    num_keypoints=[False],
    iscrowd=[2, 0.5, '1'],
)


def content(person=(), image=(), **lists):
    images = [dict(id=3, file_name='a/ü 3.png', width=64, height=48), dict(id=4, file_name='4', width=1, height=1)]
    images[0] |= dict(image)
    people = [PERSON | dict(person), PERSON | dict(id=6), PERSON | dict(id=7)]
    return dict(images=images, annotations=people, categories=[dict(id=1)]) | lists


@pytest.fixture
def problems(tmp_path):
    """Writes annotations or, if a list, a result, and returns the problems of reading it, with the file as FILE."""

    def read(written, num_keypoints=17):
        file = tmp_path / 'file.json'
        file.write_bytes(written if isinstance(written, bytes) else json.dumps(written).encode())
        try:
            if isinstance(written, list):
                read_detections(file, content(), 'the annotations', num_keypoints)
            else:
                read_annotations(file, num_keypoints, of_annotations=['bbox', 'area', 'keypoints'])
        except InvalidFileError as error:
            assert str(error) == error.problems[0]
            assert all(str(file) in line and 'give ' in line and '\n' not in line for line in error.problems)
            return [line.replace(str(file), 'FILE') for line in error.problems]
        return []

    return read


@pytest.mark.parametrize('field', INVALID)
def test_an_invalid_value_is_named_with_its_record(problems, field):
    for value in INVALID[field]:
        (line,) = problems(content({field: value}))
        assert f' of FILE has {field} {reprlib.repr(value)} (should be ' in line
        assert field == 'id' or line.startswith('annotation 5 of ')
    for wrong in [dict(score=value) for value in INVALID['area']] + [dict(bbox=[1] * 6), dict(image_id='3')]:
        assert 'detection number 1 of FILE has ' in problems([POSE, POSE | wrong])[0]


@pytest.mark.parametrize(
    ('written', 'message'),
    [
        (content(dict(keypoints=[1] * 50 + [True])), 'annotation 5 of FILE has True in keypoints'),
        (content(dict(keypoints=[1] * 48)), 'annotation 5 of FILE has 16 keypoints (should be 17'),
        (content(dict(id=6)), 'FILE: annotations has id 6 twice'),
        (content(image=dict(id=4)), 'FILE: images has id 4 twice'),
        (content(image=dict(width=0)), 'image 3 of FILE has width 0'),
        (content(image=dict(file_name='a\nb')), r"image 3 of FILE has file_name 'a\nb'"),
        (content(image=dict(file_name='a\ud800')), r"image 3 of FILE has file_name 'a\ud800'"),
        (content(annotations=[PERSON, 3]), 'annotation number 1 of FILE is 3'),
        (content(images={}), 'FILE has images {} (should be a list)'),
        (dict(images=[], annotations=[]), 'FILE has no categories'),
        (b'[1]', 'FILE is [1]'),
        ([], 'FILE is []'),
        ([POSE | dict(image_id=99)], 'its image 99 is not in the annotations'),
    ],
)
def test_what_falsifies_a_run_is_a_problem(problems, written, message):
    assert message in problems(written)[0]


def test_all_poses_have_a_box_or_none_has(problems):
    boxed = POSE | dict(bbox=[1, 2, 3, 4, 0.9])  # a score behind the box, as detectors write it
    assert problems([POSE, POSE]) == problems([boxed, boxed]) == problems([boxed], num_keypoints=None) == []
    assert 'detection number 1 of FILE has no bbox' in problems([boxed, POSE])[0]
    assert 'detection number 0 of FILE has no bbox' in problems([POSE], num_keypoints=None)[0]


def test_data_that_is_not_json_is_refused(problems):
    for data in (b'{', b'', b'[' * 100_000, b'[' + b'9' * 5000, b'\xef\xbb\xbf{}', '{}'.encode('utf-16'), b'"\xff"'):
        assert 'FILE is not JSON' in problems(data)[0]


def test_what_was_written_is_read_except_for_unknown_fields(tmp_path):
    file = tmp_path / 'file.json'
    file.write_text(json.dumps(content(dict(segmentation=[[NAN]], iscrowd=True), info='a dictionary', licenses=3)))
    assert read_annotations(file, 17) == content(dict(iscrowd=1))
    poses = [POSE | dict(caption='which xtcocotools would evaluate instead')]
    assert read_detections(poses, content(), file, 17) == [POSE]
    assert 'caption' in poses[0], "the caller's records stay"
