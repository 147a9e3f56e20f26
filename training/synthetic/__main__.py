"""``python -m training.synthetic``."""

from training.synthetic.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
