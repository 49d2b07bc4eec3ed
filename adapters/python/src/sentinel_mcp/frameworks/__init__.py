"""Adapters, one module for each framework. Import the one you use; none imports the others."""
