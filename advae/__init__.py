"""Measure how robust a classifier with an autoencoder in front of it is against adversarial examples."""
