"""Pretraining: data sets (``dataset``), a synthetic world (``synthetic``) and the run itself.

``python -m training.pretrain`` trains GAIR with its two contrastive losses, INCL and SECL.
"""
