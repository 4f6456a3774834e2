"""What ``import advae`` gives to notebooks: trained pipelines, evaluations of any model, a transformer."""
