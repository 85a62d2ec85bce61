"""What a bundle is compared with: references that a shop would have, and the systems that other packages plug in."""
