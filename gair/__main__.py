"""``python -m gair``."""

from gair.cli import main

raise SystemExit(main())
