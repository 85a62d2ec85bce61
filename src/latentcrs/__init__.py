"""LatentCRS."""
