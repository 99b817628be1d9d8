"""A shop that takes orders, and packs them later."""
