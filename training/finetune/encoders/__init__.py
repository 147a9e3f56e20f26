"""training/finetune/encoders."""
