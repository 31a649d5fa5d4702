"""Carriers move plans and answers and know nothing of their content."""
