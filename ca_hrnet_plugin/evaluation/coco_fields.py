"""The fields of COCO's records as pydantic checks them. Others are neither looked at nor returned."""

from collections.abc import Collection
from pathlib import Path
from reprlib import repr as short
from typing import Annotated, Literal

from pydantic import FailFast, Field, TypeAdapter, ValidationError
from pydantic_core import from_json
from typing_extensions import NotRequired, TypedDict

from .coco_files import LARGEST, InvalidFileError, and_more

Id = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Number = Annotated[float, Field(strict=True, ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Size = Annotated[float, Field(strict=True, gt=0, le=LARGEST, allow_inf_nan=False)]
FileName = Annotated[str, Field(pattern=r'^[^\x00-\x1f\x7f]+$')]


def _numbers(least: int, most: int):
    return Annotated[list[Number], Field(min_length=least, max_length=most), FailFast()]


IMAGE = dict(id=Id, file_name=FileName, width=Size, height=Size, crowdIndex=Number)
ANNOTATION = dict(id=Id, image_id=Id, category_id=Id, bbox=_numbers(4, 4), area=Number, num_keypoints=Number)
ANNOTATION['iscrowd'] = Literal[0, 1, False, True]
# Of a box MMPose takes the first four numbers; detectors write a score behind them.
DETECTION = dict(image_id=Id, category_id=Id, score=Number, bbox=_numbers(4, 5))
NAMES = dict(images='image', annotations='annotation', categories='category')


def annotations_adapter(
    num_keypoints: int | None, needed: Collection[str], of_images: Collection[str], of_annotations: Collection[str]
) -> TypeAdapter:
    """Of a file of annotations, with the arguments of :func:`.coco_files.read_annotations`."""
    parts = dict(
        images=list[_record(IMAGE, {'id', *of_images})],
        annotations=list[
            _record(ANNOTATION | _keypoints(num_keypoints), {'id', 'image_id', 'category_id', *of_annotations})
        ],
        categories=list[_record(dict(id=Id), {'id'})],
    )
    return TypeAdapter(_record(parts, needed))


def detections_adapter(num_keypoints: int | None) -> TypeAdapter:
    """Of a list of boxes or, where a number of keypoints is given, of keypoints, with or without boxes."""
    fields = DETECTION | _keypoints(num_keypoints)
    needed = set(fields) - ({'bbox'} if num_keypoints is not None else set())
    return TypeAdapter(Annotated[list[_record(fields, needed)], Field(min_length=1)])


def read_checked(adapter: TypeAdapter, data: bytes, path: str | Path, wanted: str):
    """What is in a JSON file.

    Raises:
        InvalidFileError: It is not ``wanted``; a line for each kind of error in each field.
    """
    try:
        return adapter.validate_json(data)
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False, include_context=False)
    if errors[0]['type'] == 'json_invalid':
        raise InvalidFileError(
            [f'{path} is not JSON ({errors[0]["msg"].removeprefix("Invalid JSON: ")}): give {wanted}']
        )
    alike = {}
    for error in errors:
        fields = tuple(key for key in error['loc'] if isinstance(key, str))
        alike.setdefault((fields, error['type']), []).append(error)
    content = from_json(data)
    raise InvalidFileError(
        [f'{_line(first, content, path, wanted)}{and_more(rest)}' for first, *rest in alike.values()]
    )


def _record(fields: dict, needed: Collection[str]) -> type:
    return TypedDict('Record', {name: kind if name in needed else NotRequired[kind] for name, kind in fields.items()})


def _keypoints(number: int | None) -> dict:
    return {} if number is None else dict(keypoints=_numbers(3 * number, 3 * number))


def _line(error: dict, content, path: str | Path, wanted: str) -> str:
    # A list of records has an index first, and a file of annotations the name of the list before it.
    where, value, owner, name = list(error['loc']), content, str(path), 'detection'
    if len(where) > 1 and where[0] in NAMES:
        name, value = NAMES[where[0]], value[where.pop(0)]
    if where and isinstance(where[0], int):
        value, index = value[where[0]], where.pop(0)
        record_id = value.get('id') if isinstance(value, dict) else None
        owner = f'{name} {record_id if type(record_id) is int else f"number {index}"} of {path}'
    way_out = f'give {wanted}{", or use_area=False for OKS" if "area" in where else ""}'
    if error['type'] == 'missing':
        return f'{owner} has no {where[0]}: {way_out}'
    for key in where:
        value = value[key]
    told = short(value)
    if where == ['keypoints'] and isinstance(value, list):
        told = f'of {len(value) / 3:g} keypoints'
    has = f'has {told} in {where[0]}' if len(where) > 1 else f'has {where[0]} {told}' if where else f'is {told}'
    return f'{owner} {has} ({error["msg"].lower()}): {way_out}'
