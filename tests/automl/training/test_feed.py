import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from automl.data.image_format import ImageFormat
from automl.data.pictures import Pictures
from automl.errors import DataError
from automl.training.feed import Decoded, Resident, as_inputs, as_stored, block_size, feed_of

CPU = torch.device("cpu")


@pytest.fixture
def files(tmp_path):
    """Return pictures of 40 files, the image i filled with the value i, and their paths."""
    paths = [tmp_path / f"{i:02}.png" for i in range(40)]
    for i, path in enumerate(paths):
        Pillow.new("L", (6, 5), i).save(path)
    return Pictures(np.array([str(path) for path in paths]), ImageFormat(5, 6, 1)), paths


def values(batches):
    return [batch[0][:, 0, 0, 0].tolist() for batch in batches]


def test_images_are_inputs_channels_last_and_back():
    stored = torch.arange(2 * 4 * 5 * 3, dtype=torch.uint8).view(2, 4, 5, 3)
    (inputs,) = as_inputs((stored,))
    assert inputs.shape == (2, 3, 4, 5)
    assert inputs.dtype == torch.float32
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(as_stored((inputs,))[0], stored.float())
    table = (torch.zeros(2, 3), torch.zeros(2, 1, dtype=torch.int64))
    assert as_inputs(table) == table


def test_bytes_on_the_cpu_are_mapped_and_not_copied(recwarn):
    images = np.zeros((10, 4, 4, 1), np.uint8)
    images.flags.writeable = False
    feed = feed_of((images,), np.array([1, 3, 5]), CPU)
    assert isinstance(feed, Resident)
    assert feed.tensors[0].data_ptr() == images.__array_interface__["data"][0]
    assert len(feed) == 3
    assert not recwarn.list


def test_images_turned_round_without_a_copy_are_taken():
    images = np.arange(2 * 3 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 3)[:, ::-1, :, ::-1]
    [block] = feed_of((images,), None, CPU).blocks()
    assert np.array_equal(block[0].numpy(), images)


def test_batches_follow_the_order_and_the_rows():
    images = np.arange(100, dtype=np.uint8)[:, None, None, None]
    feed = feed_of((images,), np.arange(10, 60), CPU)
    order = torch.tensor([3, 1, 2, 0, 7])
    assert values(feed.batches(order, [2, 3])) == [[13, 11], [12, 10, 17]]
    many = values(feed.batches(torch.arange(50), [2] * 25))  # more batches than are gathered at once
    assert [value for batch in many for value in batch] == list(range(10, 60))


def test_blocks_are_of_one_size_for_one_kind_of_features():
    assert block_size((np.zeros((9, 14)), np.zeros((9, 2)))) == 1024
    assert block_size((np.zeros((9, 32, 32, 3)),)) == 170
    assert block_size((np.zeros((9, 4096, 4096, 3), np.uint8),)) == 8
    images = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 100, 100, 3), np.uint8)
    feed = feed_of((images,), np.arange(5, 40), CPU)
    assert [len(block) for block in values(feed.blocks())] == [17, 17, 1]
    assert values(feed.blocks(3)) == [[5, 6, 7]]


def test_files_are_decoded_in_order_ahead_of_the_network(files):
    pictures, _ = files
    feed = feed_of((pictures,), np.arange(40), CPU)
    assert isinstance(feed, Decoded)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    batches = values(feed.batches(order, [7, 7, 7, 7, 7, 5]))
    assert [len(batch) for batch in batches] == [7, 7, 7, 7, 7, 5]
    assert [value for batch in batches for value in batch] == order.tolist()
    assert [value for block in values(feed.blocks(9)) for value in block] == list(range(9))
    assert len(values(feed_of((pictures,), None, CPU).blocks())[0]) == 40


def test_a_file_that_vanishes_is_named(files):
    pictures, paths = files
    paths[12].unlink()
    with pytest.raises(DataError, match=r"12\.png"):
        list(feed_of((pictures,), np.arange(40), CPU).blocks())


def test_a_loop_that_ends_early_leaves_no_threads(files):
    import threading

    pictures, _ = files
    batches = feed_of((pictures,), np.arange(40), CPU).batches(torch.arange(40), [2] * 20)
    next(batches)
    batches.close()
    for thread in threading.enumerate():
        if thread.name.startswith("decode"):
            thread.join(5)
            assert not thread.is_alive()
