"""Failure limiting: counts wrong attempts per caller and locks a caller out for a while."""
