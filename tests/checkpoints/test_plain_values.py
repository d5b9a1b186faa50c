"""What MMEngine writes into a checkpoint is read again, and is what torch reads without a guard."""

import inspect
import itertools
import pickle
import re
import zipfile

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import BaseAveragedModel, BaseModel
from mmengine.registry import HOOKS, MODELS, OPTIM_WRAPPERS, OPTIMIZERS, PARAM_SCHEDULERS, Registry
from mmengine.runner import CheckpointLoader, Runner
from torch import nn
from versions import since_torch

pytestmark = since_torch('2.6', 'before, MMEngine reads checkpoints itself')
NUM_EPOCHS, NUM_ITERS = 4, 3
# What parts of MMEngine want to be given, by the name of the parameter.
GIVEN = dict(
    T_max=NUM_EPOCHS,
    eta_max=0.5,
    eta_min=0.01,
    gamma=0.5,
    milestones=[2],
    monitor='loss',
    optimizer_type='Adam',
    periods=[NUM_EPOCHS],
    rule='less',
    save_best='loss',
    step_size=2,
    total_steps=NUM_EPOCHS,
)
# What needs an accelerator or a package that is not here, is a base of others, or is for testing alone.
NOT_HERE = {
    'AmpOptimWrapper',
    'ApexOptimWrapper',
    'ColossalAIOptimWrapper',
    'DeepSpeedOptimWrapper',
    'NPUProfilerHook',
    'Optimizer',
    'PrepareTTAHook',
}
SGD = dict(type='SGD', lr=0.1, momentum=0.9)
numbers = itertools.count()


class Table(BaseModel):
    """Learns a few numbers, whose gradients can be sparse."""

    def __init__(self, sparse: bool):
        super().__init__()
        torch.manual_seed(0)
        self.numbers = nn.Embedding(NUM_ITERS, 2, sparse=sparse)

    def forward(self, index, mode='predict'):
        loss = (self.numbers(index) - 1).square().mean()
        return dict(loss=loss) if mode == 'loss' else [loss.item()]

    def train_step(self, data, optim_wrapper):
        loss = self(**data, mode='loss')['loss']
        needs_closure = isinstance(optim_wrapper.optimizer, torch.optim.LBFGS)
        optim_wrapper.update_params(loss, step_kwargs=dict(closure=lambda: loss) if needs_closure else {})
        return dict(loss=loss)


class Loss(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(loss=np.mean(results))


def train(folder, resume_from=None, sparse=False, **options) -> dict:
    """Runs MMEngine's training, and returns its last checkpoint."""
    loader = torch.utils.data.DataLoader([dict(index=index) for index in range(NUM_ITERS)])
    Runner(
        Table(sparse),
        str(folder),
        train_dataloader=loader,
        val_dataloader=loader,
        train_cfg=dict(by_epoch=True, max_epochs=NUM_EPOCHS),
        val_cfg={},
        val_evaluator=[Loss()],
        load_from=resume_from,
        resume=resume_from is not None,
        experiment_name=f'run {next(numbers)}',
        **{'optim_wrapper': dict(optimizer=SGD), **options},
    ).train()
    return torch.load(folder / f'epoch_{NUM_EPOCHS}.pth', weights_only=False)


def plain(value):
    """Values of which == compares all."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, HistoryBuffer):
        return plain(value.data)
    return value.tolist() if isinstance(value, torch.Tensor | np.ndarray | np.generic) else value


def configs(registry: Registry, base: type = object, **more) -> dict[str, dict]:
    """Configs of all that MMEngine and torch have in a registry, by name."""
    found = {}
    for name, part in registry.module_dict.items():
        if issubclass(part, base) and part.__module__.startswith(('mmengine.', 'torch.')):
            parameters = {key for one in part.__mro__ for key in inspect.signature(one.__init__).parameters}
            found[name] = dict(type=name, **{key: value for key, value in GIVEN.items() if key in parameters}, **more)
            if name.endswith('ParamScheduler'):
                found[name]['param_name'] = 'lr'
    return found


OPTIONS = {
    **{name: dict(param_scheduler=config) for name, config in configs(PARAM_SCHEDULERS).items()},
    **{name: dict(optim_wrapper=dict(optimizer=config)) for name, config in configs(OPTIMIZERS, lr=0.1).items()},
    **{name: dict(optim_wrapper=config) for name, config in configs(OPTIM_WRAPPERS, optimizer=SGD).items()},
    **{name: dict(custom_hooks=[dict(type='EMAHook', ema_type=name)]) for name in configs(MODELS, BaseAveragedModel)},
    **{name: dict(custom_hooks=[config]) for name, config in configs(HOOKS).items()},
    'OneCycleLR by iteration': dict(
        param_scheduler=dict(
            type='OneCycleLR', by_epoch=False, eta_max=0.5, total_steps=NUM_EPOCHS * NUM_ITERS, anneal_strategy='linear'
        )
    ),
}
OPTIONS['SparseAdam']['sparse'] = True


@pytest.fixture
def group_of_one(tmp_path):
    """For ZeroRedundancyOptimizer."""
    torch.distributed.init_process_group('gloo', f'file://{tmp_path}/rendezvous', rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures('group_of_one')
@pytest.mark.parametrize('part', sorted(OPTIONS.keys() - NOT_HERE))
def test_a_run_with_any_part_of_mmengine_resumes_as_if_it_had_not_been_interrupted(part, tmp_path):
    whole = train(tmp_path / 'whole', **OPTIONS[part])
    half = str(tmp_path / f'whole/epoch_{NUM_EPOCHS // 2}.pth')
    assert plain(CheckpointLoader.load_checkpoint(half)) == plain(torch.load(half, weights_only=False))
    resumed = train(tmp_path / 'resumed', half, **OPTIONS[part])
    for what in ('state_dict', 'optimizer'):
        assert plain(resumed[what]) == plain(whole[what])
    for log in ('train/lr', 'train/loss'):
        assert plain(resumed['message_hub']['log_scalars'][log]) == plain(whole['message_hub']['log_scalars'][log])


@pytest.mark.parametrize('core', [b'numpy.core.', b'numpy._core.'])
def test_checkpoints_load_whichever_numpy_wrote_them(core, tmp_path):
    hub = MessageHub('test')
    for value in (0.5, 0.25):
        hub.update_scalar('train/loss', value)
    meta = dict(colors=np.eye(3, dtype=np.uint8))
    torch.save(dict(message_hub=hub.state_dict(), meta=meta, best=np.int64(3)), tmp_path / 'here.pth')
    with zipfile.ZipFile(tmp_path / 'here.pth') as source, zipfile.ZipFile(tmp_path / 'renamed.pth', 'w') as target:
        for item in source.infolist():
            data = source.read(item)
            target.writestr(item, re.sub(rb'cnumpy\._?core\.', b'c' + core, data))
    loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'renamed.pth'))
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


def test_an_array_whose_memory_others_may_share_is_not_set_again(tmp_path):
    """NumPy frees the old memory, which a tensor made of the array still reads and writes."""
    once = pickle.dumps(np.zeros(8), 2)
    # Its state once more, without header and end, and the instruction to set it.
    state = pickle.dumps(np.zeros(8).__reduce__()[2], 2)[2:-1]
    twice = once[:-1] + state + b'b.'
    assert len(pickle.loads(twice)) == 8, 'NumPy itself takes it'
    torch.save({}, tmp_path / 'empty.pth')
    with zipfile.ZipFile(tmp_path / 'empty.pth') as empty, zipfile.ZipFile(tmp_path / 'twice.pth', 'w') as file:
        for name in empty.namelist():
            file.writestr(name, twice if name.endswith('data.pkl') else empty.read(name))
    with pytest.raises(pickle.UnpicklingError, match='no content of its own'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'twice.pth'))
