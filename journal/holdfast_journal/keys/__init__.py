"""Master keys and data keys: finding them, keeping them in files, sealing with them."""
