"""What an autoencoder in front of a classifier is worth against adversarial examples."""
