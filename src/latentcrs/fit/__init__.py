"""From a prepared data set to a trained model: training rows, and every stage in turn."""
