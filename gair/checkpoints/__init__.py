"""Checkpoints: saved models and the release as config, facts and tensors; knows no model class."""
