"""The models: purifiers, which map images to images, classifiers, which map images to logits, and their training."""
