"""Whatever MMEngine writes into a checkpoint is read as torch reads it without a guard."""

import datetime
import itertools
import pickle
import re
import zipfile
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import BaseModel
from mmengine.runner import CheckpointLoader, Runner
from torch import nn
from versions import since_torch

pytestmark = since_torch('2.6', 'before, MMEngine reads checkpoints itself')
NUM_EPOCHS, NUM_ITERS = 4, 3
ONE_CYCLE = dict(type='OneCycleLR', by_epoch=False, eta_max=0.5, total_steps=NUM_EPOCHS * NUM_ITERS)
# The sources of what MMEngine keeps in a checkpoint beside tensors and plain containers.
OPTIONS = {
    'a function of a scheduler, averaged weights': dict(param_scheduler=ONE_CYCLE, custom_hooks=[dict(type='EMAHook')]),
    'metrics in a scheduler and a hook': dict(
        param_scheduler=dict(type='ReduceOnPlateauLR', monitor='loss'),
        custom_hooks=[dict(type='CheckpointHook', interval=1, save_best='loss', rule='less')],
    ),
}
numbers = itertools.count()


class Table(BaseModel):
    """Learns a few numbers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.numbers = nn.Embedding(NUM_ITERS, 2)

    def forward(self, index, mode='predict'):
        loss = (self.numbers(index) - 1).square().mean()
        return dict(loss=loss) if mode == 'loss' else [loss.item()]


class Loss(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(loss=np.mean(results))


def train(folder, resume_from=None, **options) -> dict:
    """Runs MMEngine's training and returns its last checkpoint."""
    loader = torch.utils.data.DataLoader([dict(index=index) for index in range(NUM_ITERS)])
    Runner(
        Table(),
        str(folder),
        train_dataloader=loader,
        val_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=NUM_EPOCHS),
        val_cfg={},
        val_evaluator=[Loss()],
        load_from=resume_from,
        resume=resume_from is not None,
        experiment_name=f'run {next(numbers)}',
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.1)),
        **options,
    ).train()
    return torch.load(folder / f'epoch_{NUM_EPOCHS}.pth', weights_only=False)


def load(path: Path) -> dict:
    return CheckpointLoader.load_checkpoint(str(path))


def plain(value):
    """The same content in values that == compares as a whole."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, HistoryBuffer):
        return plain(value.data)
    return value.tolist() if isinstance(value, torch.Tensor | np.ndarray | np.generic) else value


@pytest.mark.parametrize('content', OPTIONS)
def test_a_run_resumes_as_if_it_had_not_been_interrupted(content, tmp_path):
    whole = train(tmp_path / 'whole', **OPTIONS[content])
    half = str(tmp_path / f'whole/epoch_{NUM_EPOCHS // 2}.pth')
    assert plain(CheckpointLoader.load_checkpoint(half)) == plain(torch.load(half, weights_only=False))
    resumed = train(tmp_path / 'resumed', half, **OPTIONS[content])
    for key in ('state_dict', 'optimizer'):
        assert plain(resumed[key]) == plain(whole[key])
    for log in ('train/lr', 'train/loss'):
        assert plain(resumed['message_hub']['log_scalars'][log]) == plain(whole['message_hub']['log_scalars'][log])


def edit_pickle(path, edit: Callable[[bytes], bytes]) -> str:
    """Rewrites a checkpoint with another pickle in it."""
    with zipfile.ZipFile(path) as source:
        content = {item: source.read(item) for item in source.infolist()}
    with zipfile.ZipFile(path, 'w') as target:
        for item, data in content.items():
            target.writestr(item, edit(data) if item.filename.endswith('/data.pkl') else data)
    return str(path)


@pytest.mark.parametrize('core', [b'numpy.core.', b'numpy._core.'])
def test_checkpoints_load_whichever_numpy_wrote_them(core, tmp_path):
    hub = MessageHub('test')
    for value in (0.5, 0.25):
        hub.update_scalar('train/loss', value)
    meta = dict(colors=np.eye(3, dtype=np.uint8))
    torch.save(dict(message_hub=hub.state_dict(), meta=meta, best=np.int64(3)), tmp_path / 'logs.pth')
    path = edit_pickle(tmp_path / 'logs.pth', lambda data: re.sub(rb'cnumpy\._?core\.', b'c' + core, data))
    loaded = CheckpointLoader.load_checkpoint(path)
    history = loaded['message_hub']['log_scalars']['train/loss']
    assert isinstance(history, HistoryBuffer)
    assert history.statistics('mean', 2) == 0.375
    assert (plain(loaded['meta']['colors']), loaded['best']) == (np.eye(3).tolist(), 3)


def test_a_checkpoint_does_not_change_how_logs_are_averaged(tmp_path):
    before = dict(HistoryBuffer._statistics_methods)
    hostile = HistoryBuffer([1.0, 3.0], [1, 1])
    hostile.__dict__.update(mean=3, _statistics_methods=dict(mean=3))
    torch.save(dict(state_dict={}, log=hostile), tmp_path / 'log.pth')
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'log.pth'))['log']
    assert HistoryBuffer._statistics_methods == before
    assert loaded.mean() == loaded.statistics('mean') == 2


def test_an_array_whose_memory_a_tensor_may_share_is_not_set_again(tmp_path):
    """NumPy would free the old memory, which the tensor still reads and writes."""
    torch.save(np.zeros(8), tmp_path / 'twice.pth')
    # The array's state once more, without header and end, and the instruction to set it.
    state = pickle.dumps(np.zeros(8).__reduce__()[2], 2)[2:-1]
    path = edit_pickle(tmp_path / 'twice.pth', lambda data: data[:-1] + state + b'b.')
    assert len(torch.load(path, weights_only=False)) == 8, 'NumPy itself accepts it'
    with pytest.raises(pickle.UnpicklingError, match='without content of its own'):
        CheckpointLoader.load_checkpoint(path)


def test_values_come_back_in_value_and_type(tmp_path):
    array = np.arange(3.0)
    content = dict(
        arrays=[array, (array, {'again': array})],
        dtype=np.dtype('<f4'),
        dtypes={np.dtype('i8'): 1},
        size=torch.Size([2, 3]),
        torch_dtype=torch.float16,
        frozen=frozenset([1, 'a']),
        numbers=range(0, 9, 2),
        part=slice(1, None),
        path=Path('/data/coco'),
        pure_path=PurePosixPath('a/b'),
        day=datetime.date(2026, 1, 2),
        when=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        duration=datetime.timedelta(days=1),
        ordered=OrderedDict(b=1, a=2),
        counter=Counter({np.dtype('f4'): 2}),
        default=defaultdict(dict, a=defaultdict(OrderedDict, {np.float32: 1})),
        queue=deque([1, (deque(), np.float32(2))], maxlen=3),
        classes=(int, list, np.float32, np.bool_),
    )
    parameter = nn.Parameter(torch.ones(1))
    parameter.statistics = content['ordered']._metadata = array
    content['parameter'] = parameter
    torch.save(content, tmp_path / 'values.pth')
    loaded, expected = load(tmp_path / 'values.pth'), torch.load(tmp_path / 'values.pth', weights_only=False)
    for name in content.keys() - {'arrays', 'dtypes', 'parameter'}:
        assert (loaded[name], type(loaded[name])) == (expected[name], type(expected[name])), name
    assert loaded['default'].default_factory is dict and loaded['default']['a'].default_factory is OrderedDict
    assert loaded['queue'].maxlen == 3 and type(loaded['queue'][1][0]) is deque
    assert loaded['dtypes'] == {np.dtype('i8'): 1}
    first, (second, third) = loaded['arrays']
    assert type(first) is np.ndarray and first is second is third['again']
    assert {first.sum(): 1} == {3.0: 1}
    assert type(loaded['parameter'].statistics) is type(loaded['ordered']._metadata) is np.ndarray
    torch.save(loaded, tmp_path / 'again.pth')
    assert load(tmp_path / 'again.pth')['dtype'] == np.dtype('<f4')


def test_metainfo_of_a_config_is_read_as_plain_dicts(tmp_path):
    """As MMEngine's runner saves it for MMDetection and MMSegmentation."""
    config = Config(dict(metainfo=dict(classes=('a', 'b'), seg_label_mapping={0: 1})))
    torch.save(dict(meta=dict(dataset_meta=config.metainfo), state_dict={}), tmp_path / 'meta.pth')
    loaded = load(tmp_path / 'meta.pth')['meta']['dataset_meta']
    assert loaded == dict(classes=('a', 'b'), seg_label_mapping={0: 1})
    assert type(loaded) is type(loaded['seg_label_mapping']) is dict


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (np.array(['a']), "it has values of type 'U1'"),
        (np.array([{}]), "it has values of type 'O8'"),
        (np.ndarray, 'it holds a class or a function'),
        ({frozenset: 1}, 'it holds a class or a function'),
        (defaultdict(frozenset), 'it has a defaultdict of'),
    ],
)
def test_what_cannot_be_a_plain_value_is_refused_with_the_reason(value, message, tmp_path):
    torch.save(dict(value=value), tmp_path / 'refused.pth')
    with pytest.raises(pickle.UnpicklingError, match=rf'refused\.pth is refused, because {message}.*plain containers'):
        load(tmp_path / 'refused.pth')
