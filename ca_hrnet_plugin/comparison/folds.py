"""Folds of a data set, so that each person is tested once."""

import json
import random
from pathlib import Path

from mmengine.config import Config

from ..evaluation.coco_files import read_annotations, read_json
from ..evaluation.crowd_index import crowd_index
from ..evaluation.people import dataset_metainfo
from ..evaluation.split_eval import CROWD_LEVELS
from ..reporting.comparison_files import ComparisonFiles
from ..whole_file import whole_file


def write_folds(files: ComparisonFiles, cfg: Config) -> None:
    """Writes the annotations of each fold, dealt from those that a config trains and tests on.

    Each level of crowding has the same number of images in every fold, give or take one. Images and people have new
    ids, and images are named by whole paths.

    Args:
        files (ComparisonFiles): The comparison, whose runs are folds.
        cfg (Config): The baseline's config, with data in COCO format.

    Raises:
        ValueError: A data set is not one valid file in COCO format.
    """
    images, people = {}, []
    for loader in ('train_dataloader', 'test_dataloader'):
        content = _read_dataset(cfg[loader].dataset, loader)
        earlier, ids = set(images), {}
        for image in content['images']:
            if image['file_name'] not in earlier:  # the people of an image are those of its first data set
                first = images.setdefault(image['file_name'], dict(image, id=len(images) + 1))
                ids[image['id']] = first['id']
        people += [
            dict(person, image_id=ids[person['image_id']])
            for person in content['annotations']
            if person['image_id'] in ids
        ]
    people = [dict(person, id=number) for number, person in enumerate(people, start=1)]
    fold_of = _deal([image['id'] for image in images.values()], people, len(files.numbers))
    for number, run in zip(files.numbers, files.runs, strict=True):
        for part in ('train', 'test'):
            chosen = {image for image, fold in fold_of.items() if (fold == number) == (part == 'test')}
            split = dict(
                content,
                images=[image for image in images.values() if image['id'] in chosen],
                annotations=[person for person in people if person['image_id'] in chosen],
            )
            with whole_file(files.fold_annotations(run, part)) as unfinished:
                unfinished.write_text(json.dumps(split))


def _read_dataset(dataset: dict, loader: str) -> dict:
    """A COCO file, with images named by whole paths."""
    if not str(dataset.get('ann_file')).endswith('.json'):
        raise ValueError(f'{loader} has no ann_file in COCO format: folds need one data set; compare over --seeds')
    root = Path(dataset.get('data_root') or '')
    file, folder = root / dataset['ann_file'], (root / dataset.get('data_prefix', {}).get('img', '')).resolve()
    num_keypoints = dataset_metainfo(dataset)['num_keypoints']
    read_annotations(file, num_keypoints, of_images=['file_name'], of_annotations=['bbox', 'keypoints'])
    content = read_json(file, 'annotations in COCO format')  # with the fields that are not checked
    for image in content['images']:
        image['file_name'] = str(folder / image['file_name'])
    return content


def _deal(images: list[int], people: list[dict], num_folds: int) -> dict[int, int]:
    """The fold of each image."""
    people_of = {image: [] for image in images}
    for person in people:
        people_of[person['image_id']].append(person)
    crowding = {image: crowd_index(people_of[image]) for image in images}
    images = random.Random(0).sample(images, len(images))
    images.sort(key=lambda image: sum(crowding[image] >= edge for edge in CROWD_LEVELS.values()))
    return {image: rank % num_folds for rank, image in enumerate(images)}
