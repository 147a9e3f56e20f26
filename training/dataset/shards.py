"""Data sets on disk, written and read: see :mod:`training.dataset.schema` for the format."""

from training.dataset.shard_reader import ShardedDataset
from training.dataset.shard_writer import ShardWriter

__all__ = ["ShardWriter", "ShardedDataset"]
