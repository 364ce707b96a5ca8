"""From a trained model to any recording: the model folder, and what it says."""
