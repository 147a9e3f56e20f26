"""Photos drawn in training: :mod:`.photos` draws them, from worlds that :mod:`.kept` files hold."""
