"""Data sets on disk, written and read: see :mod:`training.dataset.shards.schema` for the format."""

from training.dataset.shards.reader import ShardedDataset
from training.dataset.shards.writer import ShardWriter

__all__ = ["ShardWriter", "ShardedDataset"]
