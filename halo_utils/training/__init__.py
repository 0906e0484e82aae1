"""Fine-tuning, graph training and prediction with Lightning."""
