"""Interfaces that other libraries no longer have, over polyspan's readers; import the module of the one you need."""
