"""``python -m indexer``."""

from indexer.commands.cli import main

raise SystemExit(main())
