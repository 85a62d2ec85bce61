"""What every room stands on: errors, atomic files, progress, devices, downloads, weights on disk."""
