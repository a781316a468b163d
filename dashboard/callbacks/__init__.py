"""Callbacks: what happens when a person does something; each parses, makes one call and hands over to a presenter."""
