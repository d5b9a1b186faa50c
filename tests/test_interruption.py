"""Training that is interrupted and goes on with ``resume``."""

import pytest
import torch

OPTIONS = {
    'train_cfg.max_epochs': 2,
    'train_cfg.val_interval': 10,
    'train_dataloader.batch_size': 16,
    'train_dataloader.dataset.indices': 32,
    'train_dataloader.num_workers': 1,  # whose seed is the same in each epoch, unlike that of this process
    'randomness.deterministic': True,
}


@pytest.fixture
def train(runner, drawn_data):
    yield lambda **options: runner('demo/ca_hrnet_w16_128x96_finetune', drawn_data, **OPTIONS, **options).train()
    torch.use_deterministic_algorithms(False)


def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(train, tmp_path):
    train()
    first, last = (tmp_path / f'work_dirs/ca_hrnet_w16_128x96_finetune/epoch_{epoch}.pth' for epoch in (1, 2))
    expected = torch.load(last, weights_only=False)['state_dict']
    # As if killed while the last checkpoint was written.
    last.write_bytes(last.read_bytes()[:10000])
    last.with_name('last_checkpoint').write_text(str(first))
    written = first.stat().st_mtime_ns
    train(resume=True)
    assert first.stat().st_mtime_ns == written, 'the first epoch is not trained again'
    torch.testing.assert_close(torch.load(last, weights_only=False)['state_dict'], expected, rtol=0, atol=0)
