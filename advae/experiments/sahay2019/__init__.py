"""The experiment of Sahay, Mahfuz, El Gamal 2018, arXiv:1812.03087: its numbers, and ours beside them."""
