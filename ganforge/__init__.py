"""ganforge: train PGGAN, SAGAN and DCGAN on a folder of pictures."""

__version__ = "0.1.0.dev0"
