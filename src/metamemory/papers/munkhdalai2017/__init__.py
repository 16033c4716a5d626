"""Munkhdalai and Yu 2017: Meta Networks."""
