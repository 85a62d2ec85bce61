"""The laboratory of LatentCRS: the other systems of the paper, its tables and figures, and the benchmarks."""
