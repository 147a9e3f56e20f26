"""``python -m training.dataset``."""

from training.dataset.cli import main

raise SystemExit(main())
