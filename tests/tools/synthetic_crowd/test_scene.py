import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from synthetic_crowd import SceneOptions, scene
from synthetic_crowd.camera import Camera
from synthetic_crowd.coco_format import annotations, detections
from synthetic_crowd.render import Light, Palette, majority, paint, rasterise
from synthetic_crowd.scene import draw_scene
from synthetic_crowd.shapes import box
from synthetic_crowd.skeleton import BONES, KEYPOINT_NAMES

from ca_hrnet_plugin.evaluation import crowd_index

KEYPOINT = {name: index for index, name in enumerate(KEYPOINT_NAMES)}
ALONE = SceneOptions(people=(1, 1), crowd_index=0, occluders=0, distractors=0, truncation=0, image_size=(320, 256))

counts = st.integers(1, 12)
options = st.builds(
    SceneOptions,
    people=st.tuples(counts, counts).map(lambda pair: (min(pair), max(2, *pair))),
    crowd_index=st.floats(0, 0.3),
    occluders=st.floats(0, 5),
    distractors=st.floats(0, 5),
    clutter=st.floats(0, 1),
    contrast=st.floats(0, 1),
    truncation=st.floats(0, 1),
    facing=st.floats(0, 180),
    upright=st.booleans(),
    image_size=st.tuples(st.integers(64, 300), st.integers(64, 300)),
)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), options)
def test_annotations_are_exact_for_any_seed_and_options(seed, options):
    rng = np.random.default_rng(seed)
    drawn = draw_scene(rng, options)
    width, height = options.image_size
    assert drawn.image.shape == (height, width, 3)
    truth = annotations(drawn, image_id=7)
    assert len(truth) <= len(drawn.keypoints) <= options.people[1]
    assert len({person['id'] for person in truth}) == len(truth)
    taken = np.zeros((height, width), bool)
    for person in truth:
        assert person['segmentation']['size'] == [height, width]
        mask = coco_mask.decode(person['segmentation']).astype(bool)
        rows, columns = mask.any(axis=1).nonzero()[0], mask.any(axis=0).nonzero()[0]
        assert person['bbox'] == [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert person['area'] == mask.sum() > 0
        assert not (taken & mask).any()
        taken |= mask

        x, y, visibility = np.array(person['keypoints']).reshape(17, 3).T
        assert person['num_keypoints'] == (visibility > 0).sum()
        assert not (x[visibility == 0].any() or y[visibility == 0].any())
        assert ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).all()
        on_mask = mask[y.round().astype(int), x.round().astype(int)]
        assert on_mask[visibility == 2].all()

    for detection in detections(rng, truth, 7, options.image_size):
        x, y, w, h = detection['bbox']
        assert 0 < detection['score'] < 1
        assert min(x, y) >= 0 and min(w, h) >= 1
        assert x + w <= width + 0.01 and y + h <= height + 0.01


@pytest.fixture
def upright(monkeypatch):
    """Makes all people stand at rest, turned by an angle in degrees."""

    def at_yaw(yaw: float):
        rest = np.zeros((len(BONES), 3))
        monkeypatch.setattr(scene, 'random_pose', lambda *_: ('standing', rest, np.array([0.0, 0.0, yaw])))

    return at_yaw


def test_people_facing_the_camera_show_face_and_left_side_on_the_right(upright):
    face = [KEYPOINT[name] for name in ('nose', 'left_eye', 'right_eye')]
    for yaw, visibility, sign in ((0.0, 2, 1), (180.0, 1, -1)):
        upright(yaw)
        keypoints = draw_scene(np.random.default_rng(0), ALONE).keypoints[0]
        assert (keypoints[face, 2] == visibility).all()
        for part in ('eye', 'ear', 'shoulder', 'elbow', 'wrist', 'hip', 'knee', 'ankle'):
            left, right = (keypoints[KEYPOINT[f'{side}_{part}'], 0] for side in ('left', 'right'))
            assert (left - right) * sign > 0


def test_people_are_cut_off_only_with_truncation():
    rng = np.random.default_rng(0)
    whole = draw_scene(rng, SceneOptions(truncation=0, occluders=0))
    assert (whole.keypoints[..., 2] > 0).all()
    edge = np.concatenate([whole.instances[[0, -1]].ravel(), whole.instances[:, [0, -1]].ravel()])
    assert not edge.any()
    cut = draw_scene(rng, SceneOptions(truncation=1))
    assert (cut.keypoints[..., 2] == 0).any()


def test_picture_mask_and_keypoints_agree_to_a_fraction_of_a_pixel():
    rng = np.random.default_rng(0)
    light = Light(np.array([0, 0, 1.0]), 1.0, np.ones(3), np.ones(3))
    palette = Palette(np.full((2, 2, 3), 200.0), np.zeros(2))
    y, x = np.mgrid[:48, :64]
    errors = []
    for _ in range(1000):
        camera = Camera(np.array([0, 0, 5.0]), np.eye(3), 50.0, rng.uniform(20, 30, 2))
        plate = box(np.zeros(3), (*rng.uniform(0.6, 1.6, 2), 1e-3), 0.0, 1)
        buffers = rasterise(plate, camera, (64, 48), light)
        coverage = paint(buffers, palette, light, np.zeros((96, 128), np.float32))[..., 3]
        mask = majority(*buffers.samples(np.array([0, 1])))
        middle = camera.project(np.zeros(3))[0]
        errors.append([((shown * x).sum(), (shown * y).sum()) / shown.sum() - middle for shown in (coverage, mask)])
    np.testing.assert_allclose(np.mean(errors, axis=0), 0, atol=0.03)


def test_people_below_the_minimum_area_have_a_box_and_no_keypoints():
    drawn = draw_scene(np.random.default_rng(1), SceneOptions(people=(8, 12), image_size=(160, 128)))
    every, large = annotations(drawn, 1), annotations(drawn, 1, min_area=300)
    assert {person['area'] < 300 for person in every} == {True, False}
    for before, after in zip(every, large, strict=True):
        if before['area'] < 300:
            before |= dict(keypoints=[0] * 51, num_keypoints=0)
        assert after == before


@pytest.mark.parametrize('target', [0.1, 0.4, 0.8])
def test_the_crowd_index_follows_its_target(target):
    options = SceneOptions(people=(3, 9), crowd_index=target, image_size=(320, 256))
    indices = [crowd_index(annotations(draw_scene(np.random.default_rng(seed), options), 1)) for seed in range(20)]
    np.testing.assert_allclose(np.mean(indices), target, atol=0.15)
