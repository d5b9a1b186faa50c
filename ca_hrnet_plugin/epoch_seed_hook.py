"""Random numbers of an epoch that do not depend on those before it, so that a resumed run repeats the whole one."""

from mmengine.hooks import DistSamplerSeedHook
from mmengine.runner import Runner, set_random_seed
from mmpose.registry import HOOKS


@HOOKS.register_module()
class EpochSeedHook(DistSamplerSeedHook):
    """Seeds each epoch of training anew, in the place of MMEngine's ``DistSamplerSeedHook``.

    MMEngine seeds a run when it starts, so that after ``--resume`` the augmentations are those of the first epoch
    again. With this hook they are those that an uninterrupted run has in that epoch, and under
    ``randomness=dict(seed=..., deterministic=True)`` the final weights are the same, bit for bit on CPU. The data
    loader's workers are started anew for each epoch.

    Raises:
        ValueError: Training is by iterations, or ``train_dataloader`` keeps its workers.
    """

    def before_train(self, runner: Runner) -> None:
        """Leaves the seeding of workers to PyTorch, which derives it from this process's seed."""
        loader = runner.train_dataloader
        if loader.persistent_workers:
            raise ValueError(
                'EpochSeedHook seeds workers as they start: give train_dataloader.persistent_workers=False'
            )
        loader.worker_init_fn = None

    def before_train_epoch(self, runner: Runner) -> None:
        """Seeds this process, and through it the workers, by seed, epoch and rank."""
        super().before_train_epoch(runner)
        set_random_seed(runner.seed + 1000 * runner.epoch, diff_rank_seed=True)
