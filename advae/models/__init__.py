"""What maps images to logits, what maps images to images, and how both are trained: one contract for each."""
