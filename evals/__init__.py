"""Measurements of the product's own parts on data: `make eval-NAME DATA=dir TEST=dir OUT=file.json`."""
