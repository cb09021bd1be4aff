"""The real deploy, over real SSH, on real bare hosts of the lab."""
