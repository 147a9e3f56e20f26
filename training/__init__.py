"""Pretraining of GAIR with its two contrastive losses. Nothing here yet."""
