"""Pretraining of GAIR's three encoders with contrastive losses, resumable bit for bit.

From a data set to exported weights, in the order in which a run (:mod:`training.pretrain`) goes
through them:

1. :mod:`~training.pretraining.arguments` lays preset, file and flags over one another; their fields
   and what may differ on resuming are in :mod:`~training.pretraining.config`.
2. :mod:`~training.pretraining.run` opens the run folder, new or to be resumed, and locks it.
3. :mod:`~training.pretraining.build` puts together data, model, optimiser and queue; first weights
   come from :mod:`~training.pretraining.initialise` and :mod:`~training.pretraining.warm_start`.
4. :mod:`~training.pretraining.loop` makes the steps, and logs, validates and saves between them.
5. :mod:`~training.pretraining.step` computes losses and gradients of one global batch, with
   negatives from its queue and, by :mod:`~training.pretraining.distributed`, from the other ranks.
6. :mod:`~training.pretraining.objective` makes the embeddings that the losses compare.
7. :mod:`~training.pretraining.optim` moves the weights and their average.
8. :mod:`~training.pretraining.validation` finds photos of the split val among its places.
9. :mod:`~training.pretraining.checkpointing` keeps the state, so that a run can go on.
10. :mod:`~training.pretraining.export` writes the best and the last weights as models.
"""
